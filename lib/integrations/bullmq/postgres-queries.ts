/**
 * What BullMQ has no call for, on its tables, which `search_path` names. $1 is the queue; times are given, in
 * milliseconds since the epoch, since BullMQ goes by the clock of whoever asks.
 */

/** $2 ids. */
export const readQuery = `select * from job where queue = $1 and id = any($2)`;

/** $2 ids. */
export const inTurnQuery = `select id from job where queue = $1 and id = any($2) order by priority, seq`;

/** $2 ids. */
export const readEnqueuersQuery = `
select id, coalesce(opts #>> '{nestjs-worker,by}', '') as by from job where queue = $1 and id = any($2)`;

/** $2 now, $3 how many. */
export const readLapsedQuery = `
select id, attempts_started, attempts_made, processed_at_ms, processed_by, opts #> '{nestjs-worker,state}' as own_state
from job
where queue = $1 and state = 'active' and (locked_until_ms is null or locked_until_ms <= $2)
order by locked_until_ms nulls first
limit $3`;

/** $2 now. */
export const readLockedQuery = `
select count(*) as held, min(locked_until_ms) as next
from job where queue = $1 and state = 'active' and locked_until_ms > $2`;

/** $2 times. */
export const countDelayedQuery = `
select (select count(*) from job where queue = $1 and state = 'delayed' and process_at_ms <= until) as count
from unnest($2::bigint[]) with ordinality as times(until, place) order by place`;

/** $2 ids. */
export const readLocksQuery = `
select id, lock_token from job where queue = $1 and id = any($2) and state = 'active'`;

const own = `coalesce(opts -> 'nestjs-worker', '{}')`;
const withOwn = (fields: string): string =>
  `opts || jsonb_build_object('nestjs-worker', ${own} || ${fields})`;

/** $2 id, $3 state, $4 by what it must be locked; null: whether or not. */
export const writeQuery = `
update job set opts = ${withOwn(`jsonb_build_object('state', $3::jsonb)`)}
where queue = $1 and id = $2 and ($4::text is null or (state = 'active' and lock_token = $4))`;

const deaths = `coalesce(opts #> '{nestjs-worker,deaths}', '[]')`;

/** $2 id, $3 claim, $4 now, $5 death, which may be null, $6 how many are kept. Numbers below 0 come before all others. */
export const putBackQuery = `
with back as (
  update job set
    state = 'waiting',
    seq = -nextval('job_seq'),
    lock_token = null,
    locked_until_ms = null,
    opts = ${withOwn(`jsonb_build_object('back', $3::integer) || case when $5::jsonb is null then '{}' else
      jsonb_build_object('deaths', (select jsonb_agg(death order by place) from (
        select death, place from jsonb_array_elements(${deaths} || $5::jsonb) with ordinality as all_of(death, place)
        order by place desc limit $6) as latest)) end`)}
  where queue = $1 and id = $2 and state = 'active' and attempts_started = $3
    and (locked_until_ms is null or locked_until_ms <= $4)
  returning id
)
select pg_notify('bullmq_jobs', $1),
  publish_event($1, 'waiting', jsonb_build_object('jobId', id, 'prev', 'active')),
  publish_event($1, 'stalled', jsonb_build_object('jobId', id))
from back`;

/** $2 id, $3 lock, $4 until when, $5 claim, $6 when it was made. One that was put back comes back, and its death is taken back. */
export const lockAgainQuery = `
update job set
  state = 'active',
  lock_token = $3,
  locked_until_ms = $4,
  opts = case when state = 'active' then opts else ${withOwn(`jsonb_build_object('back', null, 'deaths',
    (select coalesce(jsonb_agg(death order by place), '[]')
      from jsonb_array_elements(${deaths}) with ordinality as all_of(death, place)
      where not death @> jsonb_build_object('claim', $5::integer)))`)} end
where queue = $1 and id = $2 and attempts_started = $5 and processed_at_ms = $6 and (
  (state = 'active' and lock_token = $3)
  or (state = 'waiting' and opts @> jsonb_build_object('nestjs-worker', jsonb_build_object('back', $5::integer)))
)`;

/** $2 id, $3 lock, $4 until when, $5 states it may be in. */
export const seizeQuery = `
update job set state = 'active', lock_token = $3, locked_until_ms = $4, process_at_ms = null
where queue = $1 and id = $2 and state = any($5::job_state[])`;

/** $2 id, $3 lock, $4 state; null: as it is. */
export const releaseQuery = `
with back as (
  update job set
    state = 'waiting',
    seq = -nextval('job_seq'),
    lock_token = null,
    locked_until_ms = null,
    opts = case when $4::jsonb is null then opts else ${withOwn(`jsonb_build_object('state', $4::jsonb)`)} end
  where queue = $1 and id = $2 and state = 'active' and lock_token = $3
  returning id
)
select pg_notify('bullmq_jobs', $1), publish_event($1, 'waiting', jsonb_build_object('jobId', id, 'prev', 'active'))
from back`;

const thatDeath = `death @> jsonb_build_object('claim', $3::integer, 'startedAt', $4::bigint)`;

/** $2 id, $3 claim, $4 when it was made. */
export const noteAliveQuery = `
update job set opts = ${withOwn(`jsonb_build_object('deaths',
  (select jsonb_agg(case when ${thatDeath}
      then death || '{"lost": true}' else death end order by place)
    from jsonb_array_elements(${deaths}) with ordinality as all_of(death, place)))`)}
where queue = $1 and id = $2 and exists (
  select from jsonb_array_elements(${deaths}) as all_of(death)
  where ${thatDeath} and (death -> 'endedAt')::numeric
    > coalesce((opts #> '{nestjs-worker,state,forgivenAt}')::numeric, 0))`;

/** $2 ids, $3 what it was processed by. */
export const noteStartedQuery = `update job set processed_by = $3 where queue = $1 and id = any($2)`;

/** $2 ids. BullMQ removes none that a scheduler has made, also where they have ended. */
export const removeEndedQuery = `
with gone as (
  delete from job where queue = $1 and id = any($2) and state in ('completed', 'failed') returning id, state, dedup_id
), freed as (
  delete from dedup using gone
  where dedup.queue = $1 and dedup.dedup_id = gone.dedup_id and dedup.job_id = gone.id
)
select publish_event($1, 'removed', jsonb_build_object('jobId', id, 'prev', state)) from gone`;

/** $2 key, $3 id, $4 until when, $5 now. */
export const holdKeyQuery = `
insert into dedup (queue, dedup_id, job_id, expire_at_ms) values ($1, $2, $3, $4)
on conflict (queue, dedup_id) do update set job_id = excluded.job_id, expire_at_ms = excluded.expire_at_ms
where dedup.expire_at_ms <= $5`;

/** $2 key, $3 id, $4 now. Whoever has ended has no right to its key, nor whoever's time with it is over. */
export const freeKeyQuery = `
delete from dedup using job
where dedup.queue = $1 and dedup.dedup_id = $2 and dedup.job_id = $3 and job.queue = $1 and job.id = $3 and (
  job.dedup_id is distinct from $2
  or job.state in ('completed', 'failed')
  or job.added_at_ms + (job.opts #>> '{deduplication,ttl}')::bigint <= $4)
returning dedup.dedup_id`;

/** Where the jobs of a place are, and by what they are in order. */
const order = {
  wait: { where: `state = 'waiting' and priority = 0`, first: 'priority', second: 'seq' },
  prioritized: { where: `state = 'waiting' and priority > 0`, first: 'priority', second: 'seq' },
  active: { where: `state = 'active'`, first: 'priority', second: 'seq' },
  'waiting-children': { where: `state = 'waiting-children'`, first: 'priority', second: 'seq' },
  delayed: { where: `state = 'delayed'`, first: 'process_at_ms', second: 'id' },
  completed: { where: `state = 'completed'`, first: 'finished_at_ms', second: 'id' },
  failed: { where: `state = 'failed'`, first: 'finished_at_ms', second: 'id' },
} as const;

/** $2 how many; after $3 and $4, where these are not null. */
export function pageQuery(place: keyof typeof order): string {
  const { where, first, second } = order[place];
  const type = second === 'id' ? 'text' : 'bigint';
  return `
select id, ${first}::text as first, ${second}::text as second from job
where queue = $1 and ${where} and ($3::bigint is null or (${first}, ${second}) > ($3::bigint, $4::${type}))
order by ${first}, ${second} limit $2`;
}
