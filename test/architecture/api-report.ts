import ts from 'typescript';

export interface EntryPoint {
  /** What users import: `'nestjs-worker/testing'`. */
  readonly name: string;
  /** Its declaration file. */
  readonly types: string;
}

const printer = ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed });

/**
 * A text of all that users can import, and of what those declarations name in turn: sorted, without comments and
 * private members. A type that users can see but not import is one, too, that a change can break.
 */
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
  const original = (symbol: ts.Symbol): ts.Symbol =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;

  const sections = entryPoints.map(({ name, types }) => {
    const file = program.getSourceFile(types);
    const entry = file && checker.getSymbolAtLocation(file);
    if (!entry) throw new Error(`${types} exports nothing`);
    const exported = checker
      .getExportsOfModule(entry)
      .map((symbol) => ({ as: symbol.name, symbol: original(symbol) }));
    return { name, exported };
  });

  const reported = new Set(sections.flatMap(({ exported }) => exported.map(({ symbol }) => symbol)));
  const namedBy = (symbol: ts.Symbol): ts.Symbol[] => {
    const found: ts.Symbol[] = [];
    const visit = (node: ts.Node): void => {
      if (ts.isClassElement(node) && isPrivate(node)) return;
      const named = ts.isIdentifier(node) ? checker.getSymbolAtLocation(node) : undefined;
      const target = named && original(named);
      if (target && !reported.has(target) && target.declarations?.every(isOurs)) {
        reported.add(target);
        found.push(target, ...namedBy(target));
      }
      node.forEachChild(visit);
    };
    symbol.declarations?.forEach(visit);
    return found;
  };

  return sections
    .map(({ name, exported }) => {
      const named = exported
        .flatMap(({ symbol }) => namedBy(symbol))
        .map((symbol) => ({ as: symbol.name, symbol }));
      const also = named.length > 0 ? `\nNamed above, not exported:\n\n${listing(named)}` : '';
      return `## ${name}\n\n${listing(exported)}${also}`;
    })
    .join('\n');
}

/** Whether this is a declaration at the top of a file of this package. */
function isOurs(declaration: ts.Declaration): boolean {
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return ts.isSourceFile(statement.parent) && !statement.getSourceFile().fileName.includes('/node_modules/');
}

function listing(symbols: readonly { as: string; symbol: ts.Symbol }[]): string {
  const texts = symbols
    .toSorted((a, b) => (a.as < b.as ? -1 : 1))
    .map(({ as, symbol }) => {
      if (!symbol.declarations) throw new Error(`${as} has no declaration`);
      const renamed = symbol.name === as ? '' : `// ${symbol.name} as ${as}\n`;
      return renamed + symbol.declarations.map(declarationText).join('\n');
    });
  return `\`\`\`ts\n${texts.join('\n\n')}\n\`\`\`\n`;
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
