import type { IForbiddenRuleType } from 'dependency-cruiser';

declare const layers: {
  readonly forbidden: (IForbiddenRuleType & { readonly name: string })[];
  readonly folders: {
    /** Bottom to top. */
    readonly rows: readonly (readonly string[])[];
    /** The folders below the top row. */
    readonly core: readonly string[];
    /** Integration -> the optional peers that it may import. */
    readonly peersOf: Readonly<Record<string, readonly string[]>>;
  };
};
export = layers;
