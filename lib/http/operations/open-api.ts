import { openApiDocument } from '../openapi-document.js';
import { operation, type Operation } from '../operation.js';

/** Of the API, which changes less often than the package. */
const apiVersion = '1.0.0';

export function openApiOperation(operations: readonly Operation[]): Operation {
  let text: string | undefined;
  return operation({
    id: 'getOpenApi',
    method: 'get',
    path: 'openapi.json',
    access: 'read',
    tag: 'overview',
    summary: 'The OpenAPI document of this API',
    answers: {},
    run() {
      text ??= JSON.stringify(openApiDocument(operations, 'Background work', apiVersion));
      return { body: text, type: 'application/json; charset=utf-8' };
    },
  });
}
