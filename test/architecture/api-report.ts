import ts from 'typescript';

export interface EntryPoint {
  /** What users import: `'nestjs-worker/testing'`. */
  readonly name: string;
  /** Its declaration file. */
  readonly types: string;
}

const printer = ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed });

/** A text of all that users can import and its declarations, sorted, without comments and private members. */
export function apiReport(entryPoints: readonly EntryPoint[]): string {
  const program = ts.createProgram({
    rootNames: entryPoints.map(({ types }) => types),
    options: {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2023,
      types: ['node'],
      skipLibCheck: true,
    },
  });
  const checker = program.getTypeChecker();
  return entryPoints.map((entryPoint) => sectionOf(entryPoint, program, checker)).join('\n');
}

function sectionOf({ name, types }: EntryPoint, program: ts.Program, checker: ts.TypeChecker): string {
  const file = program.getSourceFile(types);
  const entry = file && checker.getSymbolAtLocation(file);
  if (!entry) throw new Error(`${types} exports nothing`);
  const exported = checker
    .getExportsOfModule(entry)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((symbol) => {
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      if (!target.declarations) throw new Error(`${name}: ${symbol.name} has no declaration`);
      const renamed = target.name === symbol.name ? '' : `// ${target.name} as ${symbol.name}\n`;
      return renamed + target.declarations.map(declarationText).join('\n');
    });
  return `## ${name}\n\n\`\`\`ts\n${exported.join('\n\n')}\n\`\`\`\n`;
}

function declarationText(node: ts.Declaration): string {
  const file = node.getSourceFile();
  const shown = ts.isClassDeclaration(node) ? withoutPrivates(node) : node;
  const text = printer
    .printNode(ts.EmitHint.Unspecified, shown, file)
    .replace(/^(?:export |declare |default )+/, '');
  return ts.isVariableDeclaration(node) ? `const ${text};` : text;
}

const isPrivate = (member: ts.ClassElement): boolean =>
  (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) !== 0 ||
  (member.name !== undefined && ts.isPrivateIdentifier(member.name));

function withoutPrivates(node: ts.ClassDeclaration): ts.ClassDeclaration {
  return ts.factory.updateClassDeclaration(
    node,
    node.modifiers,
    node.name,
    node.typeParameters,
    node.heritageClauses,
    node.members.filter((member) => !isPrivate(member)),
  );
}

/** The packages that a declaration file needs, itself or through its relative imports. */
export function packagesNeededBy(types: string): string[] {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = ts.sys.readFile(path);
    if (text === undefined) throw new Error(`${path} does not exist`);
    const { importedFiles, typeReferenceDirectives } = ts.preProcessFile(text);
    for (const { fileName } of [...importedFiles, ...typeReferenceDirectives]) {
      if (fileName.startsWith('.'))
        visit(ts.sys.resolvePath(`${path}/../${fileName.replace(/\.js$/, '.d.ts')}`));
      else packages.add(fileName);
    }
  };
  visit(types);
  return [...packages].toSorted();
}
