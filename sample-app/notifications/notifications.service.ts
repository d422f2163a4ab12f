import { randomUUID } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import { DiscardError, InjectTaskQueue, type TaskContext, TaskQueue } from 'nestjs-worker';
import { Partners } from '../partners/partners.service.js';
import type { Notification } from './notification.js';

/** Tells the subscriber what has happened, in the background: nobody waits for one who is slow. */
@Injectable()
export class Notifications {
  private readonly logger = new Logger(Notifications.name);

  constructor(
    @InjectTaskQueue('notifications') private readonly queue: TaskQueue,
    private readonly partners: Partners,
  ) {}

  /** Answers the key by which the subscriber knows this notification, however often he gets it. */
  send(notification: Notification): string {
    const key = randomUUID();
    this.queue.submit((ctx) => this.#deliver(key, notification, ctx), {
      name: notification.event,
      after: ({ kind }) => {
        if (kind !== 'succeeded') this.logger.warn({ key, ...notification }, `Not delivered: ${kind}`);
      },
    });
    return key;
  }

  async #deliver(key: string, notification: Notification, ctx: TaskContext): Promise<void> {
    const response = await fetch(this.partners.subscriberUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(notification),
      signal: ctx.signal,
    });
    ctx.mark('answer');
    const answer = `The subscriber answered ${response.status}`;
    // He does not want it, and would not want it the next time either.
    if (response.status === 400) throw new DiscardError(answer);
    if (!response.ok) throw new Error(answer);
    this.logger.log(`Delivered ${notification.event} ${key}`);
  }
}
