import { timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Injectable, UnauthorizedException } from '@nestjs/common';
import { settings } from '../settings.js';

interface Request {
  readonly headers: { readonly authorization?: string };
  user?: { readonly username: string };
}

interface Response {
  setHeader(name: string, value: string): unknown;
}

/** HTTP Basic with one user: the browser asks for the password. For a demo; an app of yours has a guard of its own. */
abstract class BasicGuard implements CanActivate {
  protected abstract readonly username: string;

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    const wanted = `Basic ${Buffer.from(`${this.username}:${settings.opsPassword}`).toString('base64')}`;
    if (isSame(request.headers.authorization ?? '', wanted)) {
      request.user = { username: this.username };
      return true;
    }
    http.getResponse<Response>().setHeader('WWW-Authenticate', 'Basic realm="operations", charset="UTF-8"');
    throw new UnauthorizedException();
  }
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** May do everything. */
@Injectable()
export class OperatorGuard extends BasicGuard {
  protected override readonly username = 'operator';
}

/** May look. */
@Injectable()
export class ViewerGuard extends BasicGuard {
  protected override readonly username = 'viewer';
}
