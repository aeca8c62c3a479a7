// What service and disk offerings have in common: nobody owns them, and removed ones stay, Inactive, for the machines and
// disks that were made from them.
import { type Expression, sql, type SqlBool } from 'kysely'
import { choice } from './parameters.ts'

const states = ['Active', 'Inactive', 'All'] as const

export const offeringState = choice('those in a state; Active when absent', states)

export function offeringIsIn(state: (typeof states)[number] | undefined): Expression<SqlBool> {
  if (state === 'All') return sql<SqlBool>`true`
  return state === 'Inactive' ? sql<SqlBool>`removed is not null` : sql<SqlBool>`removed is null`
}
