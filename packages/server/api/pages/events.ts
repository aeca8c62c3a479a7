// GET /events: what changes, as server-sent events, to whoever may see it. Nothing is kept for later: after a break the
// page asks for its lists again. A stream ends with the session that opened it.
import type { ServerResponse } from 'node:http'
import type { AccountId } from '@ramet/core/ids.ts'
import { asProblem } from '@ramet/core/problem.ts'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../../app.ts'
import { sha256 } from '../../secrets.ts'
import type { Change } from '../../watch/changes.ts'
import { authenticate, type Request } from '../authenticate.ts'
import { type Caller, speaksFor } from '../caller.ts'
import { wireError } from '../errors.ts'

const pingMs = 15_000
/** A reader this far behind is cut off, and comes back to the present. */
const mostUnread = 2 ** 20

export function openEvents(server: FastifyInstance, app: App): void {
  server.get('/events', async (http, reply) => {
    const request = readRequest(http)
    try {
      const caller = await authenticate(app, request)
      stream(app, caller, sessionOf(request), reply)
    } catch (error) {
      const wire = wireError(asProblem(error))
      return reply.code(wire.errorcode).send(wire)
    }
    return reply
  })
}

function readRequest({ url, cookies }: FastifyRequest): Request {
  const pairs = [...new URLSearchParams(url.split('?')[1] ?? '')]
  return { pairs, raw: new Map(pairs.map(([name, value]) => [name.toLowerCase(), value])), cookies }
}

/** The hash of the session's token, or null for a signed call, which has no session. */
function sessionOf({ raw, cookies }: Request): string | null {
  return raw.has('apikey') ? null : sha256(cookies['JSESSIONID'] ?? '')
}

function stream(app: App, caller: Caller, session: string | null, reply: FastifyReply): void {
  const out = reply.hijack().raw
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) out.setHeader(name, value)
  out.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  out.write('retry: 1000\n\n')
  let id = 0
  const isFor = audience(app, caller)
  const tellAfter = async (before: Promise<void>, change: Change) => {
    await before // in the order in which they happened
    if (await isFor(change)) write(out, eventText(++id, change))
  }
  let earlier = Promise.resolve()
  const stop = app.changes.listen(change => {
    earlier = tellAfter(earlier, change)
  })
  const ping = setInterval(() => void keepOpen(app, caller, session, out), pingMs)
  out.on('error', () => out.destroy())
  out.on('close', () => {
    stop()
    clearInterval(ping)
  })
}

/**
 * Which changes are for the caller. What belongs to no account, hosts and settings, is for root administrators. Asked once
 * for each account, since an account never moves to another domain.
 */
function audience(app: App, caller: Caller): (change: Change) => Promise<boolean> {
  const known = new Map<string | null, Promise<boolean>>()
  const ask = (account: string | null) =>
    speaksFor(app, caller, account as AccountId | null).catch(() => {
      known.delete(account) // the next change asks again
      return false
    })
  return ({ account }) => {
    const found = known.get(account) ?? ask(account)
    known.set(account, found)
    return found
  }
}

export function eventText(number: number, { table, op, id, state }: Change): string {
  return `id: ${number}\nevent: change\ndata: ${JSON.stringify({ table, op, id, state })}\n\n`
}

function write(out: ServerResponse, text: string): void {
  if (out.writableLength > mostUnread) out.destroy()
  else out.write(text)
}

async function keepOpen(app: App, caller: Caller, session: string | null, out: ServerResponse): Promise<void> {
  if (await isWelcome(app, caller, session).catch(() => false)) write(out, ': ping\n\n')
  else out.end()
}

/** Whether the caller could still call: asked again and again, since a stream outlives its one request. */
async function isWelcome(app: App, { user }: Caller, session: string | null): Promise<boolean> {
  let found = app.db
    .selectFrom('user')
    .innerJoin('account', 'account.id', 'user.account_id')
    .select('user.id')
    .where('user.id', '=', user.id)
    .where('user.state', '=', 'enabled')
    .where('account.state', '=', 'enabled')
  found = session
    ? found.where(eb =>
        eb.exists(
          eb
            .selectFrom('session')
            .select('token_hash')
            .where('token_hash', '=', session)
            .where('expires', '>', new Date()),
        ),
      )
    : found.where('user.api_key', '=', user.api_key)
  return (await found.executeTakeFirst()) !== undefined
}
