import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { Logger } from 'nestjs-pino';
import { AppModule } from './app.module.js';
import { settings } from './settings.js';

const app = await NestFactory.create(AppModule, { bufferLogs: true });
const logger = app.get(Logger);
app.useLogger(logger);
app.enableShutdownHooks();
await app.listen(settings.port, '127.0.0.1');

const url = await app.getUrl();
logger.log(`Dashboard: ${url}/work (user operator, or viewer; password: demo, or what OPS_PASSWORD says)`);
logger.log(`API:       ${url}/work/openapi.json`);
logger.log(`Workers:   ${url}/workers`);
logger.log(`Health:    ${url}/health/readiness`);
logger.log(`Metrics:   ${url}/metrics`);
logger.log(
  `Inbox:     ${settings.inbox} (drop a file of scans, such as sample-app/data/scans-2026-11-20.jsonl)`,
);
logger.log(
  settings.redisUrl === undefined
    ? 'Jobs:      in memory (REDIS_URL=redis://localhost:6379 keeps them in Redis)'
    : 'Jobs:      in Redis, where they outlive this process',
);
logger.log('Ctrl-C stops');
