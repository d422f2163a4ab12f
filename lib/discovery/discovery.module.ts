import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ProviderExplorer } from './provider.explorer.js';

/** Offers `ProviderExplorer`. */
@Module({ imports: [DiscoveryModule], providers: [ProviderExplorer], exports: [ProviderExplorer] })
export class ExplorerModule {}
