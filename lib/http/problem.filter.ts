import { type ArgumentsHost, Catch, type ExceptionFilter, Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { HttpApi } from './http-api.js';
import { HTTP_API } from './http.tokens.js';
import { replyWith } from './reply.js';

/** Answers whatever is thrown in the one form that errors have. */
@Catch()
@Injectable()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    @Inject(HTTP_API) private readonly api: HttpApi,
    private readonly host: HttpAdapterHost,
  ) {}

  catch(thrown: unknown, context: ArgumentsHost): void {
    const { status, document } = this.api.problem(thrown);
    replyWith(this.host.httpAdapter, context.switchToHttp().getResponse<object>(), {
      status,
      body: document,
    });
  }
}
