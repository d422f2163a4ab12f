import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { cli } from '../../lib/cli/cli.js';
import { scaledObject } from '../../lib/http/scaled-object.js';
import { runCli, type CliRun } from './run-cli.js';

const least = ['--queue', 'emails', '--url', 'http://api:3000/work', '--deployment', 'mailer'];
const run = (...args: string[]): Promise<CliRun> => runCli(['scaled-object', ...args]);

describe('nestjs-worker scaled-object', () => {
  it('prints the scaled object and nothing else', async () => {
    expect(await run(...least)).toEqual({
      exitCode: 0,
      stdout: scaledObject({ queues: ['emails'], url: 'http://api:3000/work', deployment: 'mailer' }),
      stderr: '',
    });
  });

  it('hands on every option', async () => {
    const { exitCode, stdout } = await run(
      ...least,
      '--queue=texts & more',
      '--name=by-queue',
      '--namespace=shop',
      '--jobs-per-consumer=5',
      '--window=30s',
      '--min=2',
      '--max=7',
      '--polling-interval=11',
      '--cooldown=60',
      '--auth=work-api',
      '--auth-mode=tls',
    );

    expect(exitCode).toBe(0);
    expect(stdout).toBe(
      scaledObject({
        queues: ['emails', 'texts & more'],
        url: 'http://api:3000/work',
        deployment: 'mailer',
        name: 'by-queue',
        namespace: 'shop',
        jobsPerConsumer: 5,
        window: '30s',
        min: 2,
        max: 7,
        pollingInterval: 11,
        cooldown: 60,
        auth: 'work-api',
        authMode: 'tls',
      }),
    );
  });

  it('takes a queue named like a flag, written with =', async () => {
    const { stdout } = await run('--queue=--min', '--url', 'http://api', '--deployment', 'mailer');
    expect(parse(stdout)).toMatchObject({
      spec: {
        triggers: [{ metadata: { url: 'http://api/queues/--min/scaling?window=1m&jobs_per_consumer=10' } }],
      },
    });
  });

  it('speaks of flags where an option is wrong', async () => {
    const { stderr } = await run(...least, '--jobs-per-consumer', 'ten');
    expect(stderr).toMatch(
      /^Option --jobs-per-consumer of the scaled object is 'ten', but accepted is a whole/,
    );
    expect((await run(...least, '--cooldown', '-1')).exitCode).toBe(2);
    expect((await run(...least, '--max=0x10')).stderr).toMatch(/^Option --max of .* is '0x10'/);
  });
});

describe('nestjs-worker', () => {
  const ofScaledObject = '--jobs-per-consumer <n>';
  const ofDrain = '--from <file>';

  it.each<[what: string, argv: string[], usages: string[]]>([
    ['--help', ['--help'], [ofDrain, ofScaledObject]],
    ['-h', ['-h'], [ofDrain, ofScaledObject]],
    ['help of a command', ['scaled-object', '--help'], [ofScaledObject]],
    ['help of another', ['drain', '-h'], [ofDrain]],
    ['help of a command that could run', ['scaled-object', ...least, '-h'], [ofScaledObject]],
  ])('answers %s on stdout, as what was asked for', async (_, argv, usages) => {
    const { exitCode, stdout, stderr } = await runCli(argv);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: nestjs-worker /);
    expect([ofDrain, ofScaledObject].filter((usage) => stdout.includes(usage))).toEqual(usages);
  });

  it.each<[what: string, argv: string[], why: RegExp]>([
    ['nothing', [], /^Usage: /],
    ['an unknown command', ['scale'], /^There is no command "scale"\.\n\nUsage: /],
    ['what every object has', ['toString'], /^There is no command "toString"\.\n\nUsage: /],
    ['a flag in place of a command', least, /^There is no command "--queue"/],
    ['no option', ['scaled-object'], /^Missing: --queue, --url, --deployment\.\n\nUsage: /],
    ['a missing option', ['scaled-object', ...least.slice(0, 4)], /^Missing: --deployment\./],
    ['an unknown option', ['scaled-object', ...least, '--replicas', '3'], /^Unknown option '--replicas'/],
    ['a word too many', ['scaled-object', ...least, 'texts'], /^Unexpected argument 'texts'/],
    ['an option without its value', ['scaled-object', ...least, '--min'], /^Option '--min <value>' argument/],
  ])('refuses %s, and says how to use it', async (_, argv, why) => {
    const { exitCode, stdout, stderr } = await runCli(argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(why);
    expect(stderr).toContain(ofScaledObject);
  });

  it('says what went wrong, and fails', async () => {
    let told = '';
    const exitCode = await cli(['scaled-object', ...least], {
      cwd: '/',
      signal: new AbortController().signal,
      print: () => {
        throw new Error('EPIPE');
      },
      tell: (text) => (told += text),
    });
    expect({ exitCode, told }).toEqual({ exitCode: 1, told: 'EPIPE\n' });
  });
});
