import { appendFile, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { Notification } from '../notifications/notification.js';
import { settings } from '../settings.js';

/** The notifications that the subscriber has taken: a file with each of them once, however often it is sent. */
@Injectable()
export class NotificationLedger implements OnModuleInit {
  readonly #keys = new Set<string>();

  async onModuleInit(): Promise<void> {
    await mkdir(dirname(settings.notificationLedger), { recursive: true });
  }

  async enter(key: string, notification: Notification): Promise<void> {
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    await appendFile(settings.notificationLedger, `${JSON.stringify({ key, ...notification })}\n`);
  }
}
