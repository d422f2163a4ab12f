import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { env } = process;
const inbox = env['INBOX'] ?? join(tmpdir(), 'parcel-scans');

/** What the environment may say, and what holds where it says nothing. */
export const settings = {
  port: Number(env['PORT'] ?? 3000),
  /** Depots drop their files here. */
  inbox,
  /** Where jobs are kept, such as `redis://localhost:6379`. By default in memory. */
  redisUrl: env['REDIS_URL'] || undefined,
  /** Of the users `operator` and `viewer` of the dashboard. */
  opsPassword: env['OPS_PASSWORD'] ?? 'demo',
  /** Where scans go. By default to this app itself, which stands in for it, see `partners/`. */
  trackingUrl: env['TRACKING_URL'],
  carrierUrl: env['CARRIER_URL'],
  subscriberUrl: env['SUBSCRIBER_URL'],
  /** What the stand-in of the tracking service has received. */
  trackingFeed: join(inbox, 'out', 'tracking-feed.jsonl'),
  /** What the stand-in of the subscriber has been told. */
  notificationLedger: join(inbox, 'out', 'notifications.jsonl'),
};
