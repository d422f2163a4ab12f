export { ExplorerModule } from './discovery.module.js';
export { type Declared, ProviderExplorer } from './provider.explorer.js';
