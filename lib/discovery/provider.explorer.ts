import 'reflect-metadata';
import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';

type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** A provider that carries a decorator of ours. */
export interface Declared<Options> {
  readonly instance: object;
  /** What it is provided under; of a scoped one, what to resolve. */
  readonly token: unknown;
  readonly options: Options;
  readonly className: string;
  readonly moduleName: string;
  /** A scoped provider has no instance that could run: `instance` is then an empty shell. */
  readonly scope: 'static' | 'request-scoped' | 'transient';
}

/** Asks Nest what the app declared, through its public API only. */
@Injectable()
export class ProviderExplorer {
  constructor(private readonly discovery: DiscoveryService) {}

  /**
   * The providers whose class is decorated with metadata under `key`, in the order in which the app declares
   * them, each instance once. A class counts by its own metadata, not by what it inherits. A provider whose
   * token is a decorated class counts as that class, whatever stands in for it (a factory, a test's override).
   */
  declared<Options>(key: symbol): Declared<Options>[] {
    const seen = new Set<unknown>();
    const found: Declared<Options>[] = [];
    for (const wrapper of this.discovery.getProviders()) {
      const declared = readDeclared<Options>(wrapper, key);
      if (declared === undefined || seen.has(declared.instance)) continue;
      seen.add(declared.instance);
      found.push(declared);
    }
    return found;
  }

  /** Every instance of the app that Nest calls lifecycle hooks on: providers, controllers, enhancers, modules. */
  *instances(): Iterable<object> {
    const modules = new Set([...this.discovery.getProviders()].map((wrapper) => wrapper.host));
    for (const module of modules) {
      if (!module) continue;
      for (const wrappers of [module.providers, module.controllers, module.injectables, module.middlewares]) {
        for (const wrapper of wrappers.values()) yield* liveInstances(wrapper as Wrapper);
      }
    }
  }
}

function* liveInstances(wrapper: Wrapper): Iterable<object> {
  if (wrapper.isAlias || !wrapper.isDependencyTreeStatic()) return;
  if (wrapper.isTransient) {
    for (const host of wrapper.getStaticTransientInstances())
      if (isObject(host?.instance)) yield host.instance;
  } else if (isObject(wrapper.instance)) {
    yield wrapper.instance;
  }
}

function readDeclared<Options>(wrapper: Wrapper, key: symbol): Declared<Options> | undefined {
  if (wrapper.isAlias) return undefined;
  // Nest resolves the instance behind a getter, which for a scoped provider answers a shell without state, or
  // nothing where a factory makes it: then only the token tells what it is.
  const instance: unknown = wrapper.instance;
  const scope = wrapper.isTransient
    ? 'transient'
    : wrapper.isDependencyTreeStatic()
      ? 'static'
      : 'request-scoped';
  if (!isObject(instance) && scope === 'static') return undefined;
  const decorated = [isObject(instance) && classOf(wrapper, instance), wrapper.token].find(
    (candidate) => typeof candidate === 'function' && Reflect.hasOwnMetadata(key, candidate),
  );
  if (typeof decorated !== 'function') return undefined;
  return {
    instance: isObject(instance) ? instance : {},
    token: wrapper.token,
    options: Reflect.getOwnMetadata(key, decorated) as Options,
    className: decorated.name,
    moduleName: wrapper.host?.name ?? 'an unknown module',
    scope,
  };
}

function classOf(wrapper: Wrapper, instance: object): unknown {
  // A factory's metatype is the factory; a value has none.
  return !wrapper.metatype || wrapper.inject ? instance.constructor : wrapper.metatype;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
