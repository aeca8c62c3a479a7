// GET /healthz: whether the server can work, for whoever restarts or routes around it. GET /metrics: numbers for Prometheus.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { sql } from 'kysely'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { App } from '../../app.ts'
import type { Database } from '../../store/database.ts'
import { commandNamed } from '../door.ts'

const patienceMs = 2_000

export function openHealth(server: FastifyInstance, app: App): void {
  server.get('/healthz', async (_, reply) => {
    const ok = await databaseAnswers(app.db)
    return reply.code(ok ? 200 : 503).send({ ok, database: ok ? 'answers' : 'silent' })
  })

  const metrics = makeMetrics(app)
  server.addHook('onResponse', async (request, reply) => {
    const command = commandOf(request)
    if (command) metrics.calls.observe({ command, status: reply.statusCode }, reply.elapsedTime / 1000)
  })
  server.get('/metrics', async (_, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
}

async function databaseAnswers(db: Database): Promise<boolean> {
  const asked = sql`select 1`.execute(db).then(
    () => true,
    () => false,
  )
  const late = new Promise<boolean>(resolve => setTimeout(resolve, patienceMs, false).unref())
  return Promise.race([asked, late])
}

/** The command of an API call; strangers' inventions are all `unknown`, so that they cannot fill the memory. */
function commandOf({ url, body }: FastifyRequest): string | null {
  const [path, query = ''] = url.split('?')
  if (path !== '/client/api') return null
  const form = new URLSearchParams(`${query}&${typeof body === 'string' ? body : ''}`)
  const name = [...form].find(([key]) => key.toLowerCase() === 'command')?.[1] ?? ''
  if (['login', 'logout'].includes(name.toLowerCase())) return name.toLowerCase()
  return commandNamed(name)?.name ?? 'unknown'
}

function makeMetrics({ db, spares }: App): { registry: Registry; calls: Histogram<'command' | 'status'> } {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const vms = gaugeByState('ramet_vms', 'Machines by state', () =>
    db
      .selectFrom('vm')
      .select(['state', eb => eb.fn.countAll<number>().as('count')])
      .where('removed', 'is', null)
      .groupBy('state')
      .execute(),
  )
  const jobs = gaugeByState('ramet_jobs', 'Jobs by state', () =>
    db
      .selectFrom('job')
      .select(['state', eb => eb.fn.countAll<number>().as('count')])
      .groupBy('state')
      .execute(),
  )
  const oldestQueued = new Gauge({
    name: 'ramet_oldest_queued_job_seconds',
    help: 'How long the first job of the queue has waited; 0 when none does',
    registers: [],
    async collect() {
      this.set(await oldestQueuedSeconds(db))
    },
  })
  const calls = new Histogram({
    name: 'ramet_api_call_seconds',
    help: 'Time from the request to the end of its answer, by command and HTTP status',
    labelNames: ['command', 'status'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [],
  })
  const warm = [
    ['ramet_warm_waiting', 'Processes that wait for instant clones', 'waiting'],
    ['ramet_warm_budget_bytes', 'Memory that processes may take which wait for instant clones', 'budget'],
    ['ramet_warm_taken', 'Instant clones that a process waited for, since the start of the server', 'taken'],
    [
      'ramet_warm_missed',
      'Instant clones of a made image that no process waited for, since the start of the server',
      'missed',
    ],
  ] as const
  const ofWarm = warm.map(
    ([name, help, figure]) =>
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(spares.figures()[figure])
        },
      }),
  )
  for (const metric of [vms, jobs, oldestQueued, calls, ...ofWarm]) registry.registerMetric(metric)
  return { registry, calls }
}

function gaugeByState(
  name: string,
  help: string,
  count: () => Promise<{ state: string; count: number }[]>,
): Gauge<'state'> {
  return new Gauge({
    name,
    help,
    labelNames: ['state'],
    registers: [],
    async collect() {
      const rows = await count()
      this.reset()
      for (const row of rows) this.set({ state: row.state }, row.count)
    },
  })
}

async function oldestQueuedSeconds(db: Database): Promise<number> {
  const { oldest } = await db
    .selectFrom('job')
    .select(eb => eb.fn.min('created').as('oldest'))
    .where('state', '=', 'queued')
    .where('completed', 'is', null)
    .executeTakeFirstOrThrow()
  return oldest ? Math.max(0, Date.now() - new Date(oldest).getTime()) / 1000 : 0
}
