#!/usr/bin/env node
import { cli } from './http/cli.js';

const { exitCode, stdout, stderr } = cli(process.argv.slice(2));
process.stdout.write(stdout);
process.stderr.write(stderr);
process.exitCode = exitCode;
