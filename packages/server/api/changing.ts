// Commands that change something at once: the change and its audit event are one transaction, and a name that is taken is
// told as such.
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { inTransaction, isDuplicate, type Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import type { Caller } from './caller.ts'

export interface Told {
  readonly type: string
  readonly description: string
  readonly resourceType: string
  readonly resource: string
}

export type Tell = (event: Told) => Promise<void>

export function changing<T>(
  { app, caller }: { readonly app: App; readonly caller: Caller },
  act: (tx: Tx, tell: Tell) => Promise<T>,
): Promise<T> {
  return inTransaction(app.db, tx =>
    act(tx, async event => {
      await recordEvent(tx, { ...event, account: caller.account.id, user: caller.user.id })
    }),
  )
}

/** Does `act`; a unique index that refuses it is the fault of parameter `name`. */
export async function withFreeName<T>(parameter: string, name: string | undefined, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new Problem(
      'refused',
      'name-taken',
      `Parameter ${parameter}: the name "${name ?? ''}" is taken; choose another`,
    )
  }
}

export function inUse(what: string, rests: readonly string[]): Problem {
  return new Problem('in-use', 'still-in-use', `${what} still holds ${rests.join(', ')}; remove those first`)
}
