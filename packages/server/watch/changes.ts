// Tells whoever listens what changed, as soon as it is committed, by whichever server: PostgreSQL's notifications
// (schema.sql, `tell_change`), received on one connection of its own that is made anew when it breaks.
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Log } from '../log.ts'

export interface Change {
  readonly table: string
  readonly op: 'insert' | 'update' | 'delete'
  readonly id: string | null
  readonly state: string | null
  readonly account: string | null
}

export interface Changes {
  /** Calls `listener` for every change from now on. Returns how to stop. */
  listen(listener: (change: Change) => void): () => void
  close(): Promise<void>
}

export async function watchChanges(url: string, log: Log): Promise<Changes> {
  const listeners = new Set<(change: Change) => void>()
  let closed = false
  let client = await open()

  async function open(): Promise<pg.Client> {
    const next = new pg.Client({ connectionString: url, application_name: 'ramet changes' })
    next.on('notification', ({ payload }) => {
      if (payload) for (const listener of listeners) listener(JSON.parse(payload) as Change)
    })
    next.on('error', error => log.warn({ err: error }, 'the connection that tells changes has a problem'))
    await next.connect()
    await next.query('listen ramet_change')
    next.once('end', () => void reopen())
    return next
  }

  /** Tries until it works; what changed meanwhile is not told, and everybody who listens also looks now and then. */
  async function reopen(): Promise<void> {
    while (!closed) {
      try {
        client = await open()
        return
      } catch (error) {
        log.warn({ err: error }, 'changes are not told for now')
        await delay(500)
      }
    }
  }

  return {
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      closed = true
      await client.end()
    },
  }
}
