/** Injection token of what answers the requests of one `WorkerHttpModule`. */
export const HTTP_API: unique symbol = Symbol.for('nestjs-worker:http-api') as never;

/** Injection token of where one `WorkerHttpModule` is. */
export const HTTP_PLACE: unique symbol = Symbol.for('nestjs-worker:http-place') as never;
