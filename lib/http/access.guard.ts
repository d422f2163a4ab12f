import {
  type CanActivate,
  type ExecutionContext,
  ForbiddenException,
  Inject,
  Injectable,
  type OnModuleInit,
  Scope,
  type ScopeOptions,
  type Type,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { isObservable, lastValueFrom } from 'rxjs';
import { InvalidOptionError } from '../errors/index.js';
import { refuseCrossOrigin } from './cross-origin.js';
import type { Access } from './documents/overview.js';
import { callers, nobody } from './callers.js';
import type { HttpApi } from './http-api.js';
import { HTTP_API } from './http.tokens.js';
import type { Operation } from './operation.js';
import { nameOf, type PlatformRequest, rawRequest } from './platform.js';
import { refuseLongBody } from './read-request.js';
import { operationOf } from './routes.js';

/** Lets through whom the guards of the module let through, and knows what they may do. */
@Injectable()
export class AccessGuard implements CanActivate, OnModuleInit {
  /** `undefined`: nobody has made them, and nobody gets in. */
  #guards: readonly CanActivate[] | undefined;
  #readOnlyGuards: readonly CanActivate[] | undefined;

  constructor(
    @Inject(HTTP_API) private readonly api: HttpApi,
    private readonly moduleRef: ModuleRef,
  ) {}

  async onModuleInit(): Promise<void> {
    const { guards, readOnlyGuards } = this.api.options;
    this.#guards = await this.#instances('guards', guards);
    this.#readOnlyGuards = readOnlyGuards && (await this.#instances('readOnlyGuards', readOnlyGuards));
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<PlatformRequest>();
    const operation = operationOf(context.getHandler());
    const { options } = this.api;
    if (operation.access === 'page' && options.signIn === 'token') {
      callers.set(request, nobody);
      return true;
    }
    try {
      if (operation.access === 'command') refuseCrossOrigin(request.headers, options.allowedOrigins);
      const access = await this.#accessOf(context, operation);
      callers.set(request, { access, name: this.#nameOf(request) });
      refuseLongBody(request.headers, options.bodyLimit);
      return true;
    } catch (error) {
      const problem = this.api.problem(error);
      this.api.note(operation, rawRequest(request), this.#nameOf(request), problem);
      throw problem;
    }
  }

  /** Throws what the guards throw, or `ForbiddenException`. */
  async #accessOf(context: ExecutionContext, { access }: Operation): Promise<Access> {
    if (this.#guards === undefined) throw new Error('The guards of WorkerHttpModule have not been made');
    try {
      await passAll(this.#guards, context);
      return 'operator';
    } catch (error) {
      if (this.#readOnlyGuards === undefined) throw error;
      try {
        await passAll(this.#readOnlyGuards, context);
      } catch {
        throw error;
      }
    }
    if (access === 'read' || access === 'page') return 'viewer';
    throw new ForbiddenException();
  }

  /** Whoever writes `actor` may have got it wrong; the command goes on. */
  #nameOf(request: PlatformRequest): string | null {
    try {
      const { actor } = this.api.options;
      const name = actor === undefined ? nameOf(request) : actor(request as never);
      return typeof name === 'string' && name !== '' ? name.slice(0, 200) : null;
    } catch (error) {
      this.api.pool.report('actor of WorkerHttpModule', error);
      return null;
    }
  }

  #instances(option: string, guards: readonly unknown[]): Promise<CanActivate[]> {
    return Promise.all(
      guards.map(async (guard) =>
        typeof guard === 'function'
          ? this.#instance(option, guard as Type<CanActivate>)
          : (guard as CanActivate),
      ),
    );
  }

  /** The one that a module provides, or one of its own, made with what the imports of the module export. */
  async #instance(option: string, guard: Type<CanActivate>): Promise<CanActivate> {
    try {
      const instance = this.#provided(guard) ?? (await this.#made(guard));
      if (typeof (instance as Partial<CanActivate> | undefined)?.canActivate === 'function') return instance;
      throw new TypeError('it has no canActivate()');
    } catch (cause) {
      throw new InvalidOptionError({
        owner: 'WorkerHttpModule',
        option,
        given: guard.name,
        accepted: `a guard that can be made here (${(cause as Error).message})`,
        cure: `Give imports: [the module that exports what ${guard.name} injects], or an instance of it.`,
      });
    }
  }

  #made(guard: Type<CanActivate>): Promise<CanActivate> {
    // As `@Injectable()` notes it. One that is to be made for each request is not to be one for all.
    const { scope } = Object(Reflect.getMetadata('scope:options', guard)) as ScopeOptions;
    if (scope === Scope.REQUEST) throw new TypeError('it is request-scoped, and guards here are one for all');
    return this.moduleRef.create(guard);
  }

  #provided(guard: Type<CanActivate>): CanActivate | undefined {
    try {
      return this.moduleRef.get(guard, { strict: false });
    } catch (error) {
      // Nest exports none of its errors. Where it is there, but of a scope, another one made here would not be it.
      if ((error as Error).constructor.name === 'InvalidClassScopeException') throw error;
      return undefined;
    }
  }
}

/** Throws where one of them refuses. */
async function passAll(guards: readonly CanActivate[], context: ExecutionContext): Promise<void> {
  for (const guard of guards) {
    const answer = guard.canActivate(context);
    const passes = isObservable(answer) ? await lastValueFrom(answer, { defaultValue: false }) : await answer;
    if (!passes) throw new ForbiddenException();
  }
}
