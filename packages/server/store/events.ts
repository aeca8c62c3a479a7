// The audit trail: what happened to which resource, for whom, and why it failed. Written in the transaction of the change.
import { type AccountId, type EventId, newId, type UserId } from '@ramet/core/ids.ts'
import type { Db } from './database.ts'
import type { Tables } from './tables.ts'

export interface EventFacts {
  readonly type: string
  readonly description: string
  readonly account: AccountId
  readonly user?: UserId | null
  readonly resourceType: string
  readonly resource?: string | null
  readonly level?: Tables['event']['level']
  readonly state?: Tables['event']['state']
  /** The event that began the operation of which this one is a part. */
  readonly startEvent?: EventId | null
}

export async function recordEvent(db: Db, facts: EventFacts): Promise<EventId> {
  const row = eventRow(facts)
  await db.insertInto('event').values(row).execute()
  return row.id
}

/** Several at once, in this order. */
export async function recordEvents(db: Db, facts: readonly EventFacts[]): Promise<void> {
  if (facts.length > 0) await db.insertInto('event').values(facts.map(eventRow)).execute()
}

export function eventRow(facts: EventFacts) {
  return {
    id: newId<'event'>(),
    type: facts.type,
    description: facts.description,
    account_id: facts.account,
    user_id: facts.user ?? null,
    resource_type: facts.resourceType,
    resource_id: facts.resource ?? null,
    level: facts.level ?? 'INFO',
    state: facts.state ?? 'Completed',
    start_event_id: facts.startEvent ?? null,
  } as const
}
