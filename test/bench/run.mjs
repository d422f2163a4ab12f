// npm run bench [-- --short] [-- tasks]: all reports, or those named. They are written to results/, unless short.
const reports = ['supervision', 'tasks', 'jobs', 'bullmq', 'http'];
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
for (const report of reports) {
  if (named.length === 0 || named.includes(report)) await import(`./${report}.mjs`);
}
