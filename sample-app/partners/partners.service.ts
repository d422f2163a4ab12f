import type { Server } from 'node:http';
import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { settings } from '../settings.js';

/** Where the systems of others are reached. Unless told otherwise this app stands in for them. */
@Injectable()
export class Partners {
  constructor(private readonly host: HttpAdapterHost) {}

  /** Not before this app listens. */
  get reachable(): boolean {
    return (this.host.httpAdapter.getHttpServer() as Server).listening;
  }

  get trackingUrl(): string {
    return settings.trackingUrl ?? this.#standIn('partners/tracking');
  }

  get carrierUrl(): string {
    return settings.carrierUrl ?? this.#standIn('partners/carrier');
  }

  /** Wants to be told of each file that came in. */
  get subscriberUrl(): string {
    return settings.subscriberUrl ?? this.#standIn('partners/subscriber');
  }

  #standIn(path: string): string {
    const server = this.host.httpAdapter.getHttpServer() as Server;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('This app does not listen yet');
    return `http://${address.address}:${address.port}/${path}`;
  }
}
