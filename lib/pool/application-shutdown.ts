/** Something that can be closed: a Nest application or application context. */
export interface Closable {
  close(): Promise<unknown>;
}

interface ClosablePool extends Closable {
  report(what: string, error: unknown): void;
}

/**
 * Ends this process because something in it cannot go on: closes the app if we know it, otherwise raises SIGTERM
 * for Nest's own shutdown hooks. However the process ends, it ends with an error.
 */
export async function shutDownApplication(app: Closable | undefined, pool: ClosablePool): Promise<void> {
  endWithError();
  if (app !== undefined) {
    try {
      await app.close();
    } catch (error) {
      pool.report('app.close()', error);
    }
    return;
  }
  // Without a listener the signal would end the process on the spot, and one that is there may not be Nest's: in both
  // cases the pool is stopped here. With Nest's own hooks it is the same stop that these wait for. They are told at
  // once: an application without a server has nothing else that holds the process open until they are.
  const closed = pool.close();
  if (process.listenerCount('SIGTERM') === 0) await closed;
  process.kill(process.pid, 'SIGTERM');
}

// Nest's `useProcessExit` calls process.exit(0); an exit listener has the last word.
function endWithError(): void {
  process.exitCode = 1;
  process.once('exit', (code) => {
    if (code === 0) process.exitCode = 1;
  });
}
