// Who may remove a machine for good before its time, or bring it back: administrators, and users where a setting lets them.
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { type Caller, mayUse } from './caller.ts'

export function demandMayExpunge({ settings }: App, caller: Caller, what: string): void {
  if (mayUse(caller, 'domain-admin') || settings.flag('allow.user.expunge.recover.vm')) return
  throw new Problem(
    'forbidden',
    'expunge-not-allowed',
    `Only administrators ${what}, unless the setting allow.user.expunge.recover.vm lets users do so`,
  )
}
