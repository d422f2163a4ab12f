// What is tried: each backend with the store that it keeps its jobs in. `make` is loaded by the processes of a scenario,
// and `store` by whoever plays it. `inShort`: what of it the short form plays where nothing is named.

export const backends = {
  redis: {
    make: () => import('./backends/redis.mjs'),
    store: () => import('./stores/redis.mjs'),
    inShort: ['sigkill', 'store-restart', 'black-hole'],
  },
  bullmq: {
    make: () => import('./backends/bullmq.mjs'),
    store: () => import('./stores/bullmq.mjs'),
    inShort: ['sigkill', 'black-hole'],
  },
  'bullmq-postgres': {
    make: () => import('./backends/bullmq-postgres.mjs'),
    store: () => import('./stores/bullmq-postgres.mjs'),
    inShort: ['sigkill', 'store-restart'],
  },
};

/** A backend, and what it promises: its capabilities, and what is to be known of its answers. */
export async function loadBackend(name) {
  const { make, store, inShort } = backends[name];
  const [{ makeBackend, anywhere, ...promises }, { makeStore }] = await Promise.all([make(), store()]);
  const { capabilities } = makeBackend({ url: anywhere });
  return { name, inShort, makeStore, promises: { ...promises, capabilities } };
}
