// Who sends a request: the holder of API keys, by a signature, or a login session, by cookie and parameter both.
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { App } from '../app.ts'
import { sameBytes, sha256 } from '../secrets.ts'
import type { Database } from '../store/database.ts'
import type { Row } from '../store/tables.ts'
import type { Caller } from './caller.ts'
import { expiryTime, signatureMatches } from './signature.ts'

export interface Request {
  /** Parameters as they were named and in their order. */
  readonly pairs: readonly (readonly [string, string])[]
  readonly raw: ReadonlyMap<string, string>
  readonly cookies: Readonly<Record<string, string | undefined>>
}

export async function authenticate(app: App, request: Request): Promise<Caller> {
  const caller = request.raw.has('apikey') ? await byKeys(app, request) : await bySession(app, request)
  if (caller.user.state !== 'enabled' || caller.account.state !== 'enabled') throw unverified()
  return caller
}

async function byKeys(app: App, { pairs, raw }: Request): Promise<Caller> {
  const caller = await selectCallers(app.db)
    .where('user.api_key', '=', raw.get('apikey') ?? '')
    .executeTakeFirst()
  const signature = raw.get('signature')
  if (!caller?.user.secret_key_sealed || !signature) throw unverified()
  if (raw.get('signatureversion') === '3') demandUnexpired(raw.get('expires'))
  if (!signatureMatches(app.secrets.unseal(caller.user.secret_key_sealed), signature, pairs)) throw unverified()
  return callerFrom(caller)
}

function demandUnexpired(expires: string | undefined): void {
  const time = expires && expiryTime(expires)
  if (!time || time.getTime() < Date.now()) throw unverified()
}

async function bySession(app: App, { raw, cookies }: Request): Promise<Caller> {
  const token = cookies['JSESSIONID']
  const [inCookie, inParameter] = [cookies['sessionkey'], raw.get('sessionkey')]
  if (!token) throw unverified()
  const found = await selectCallers(app.db)
    .innerJoin('session', 'session.user_id', 'user.id')
    .selectAll('session')
    .where('session.token_hash', '=', sha256(token))
    .executeTakeFirst()
  if (!found) throw unverified()
  const { user, account, domain, ...session } = found
  const right = [inCookie, inParameter].every(key => key && sameKey(key, session.session_key_hash))
  if (!right || session.expires.getTime() < Date.now()) {
    await app.db.deleteFrom('session').where('token_hash', '=', session.token_hash).execute()
    throw unverified()
  }
  await prolong(app, session)
  return callerFrom({ user, account, domain })
}

function sameKey(key: string, hash: string): boolean {
  return sameBytes(Buffer.from(sha256(key)), Buffer.from(hash))
}

/** Written at most once a minute: a session lives while it is used. */
async function prolong(app: App, session: Row<'session'>): Promise<void> {
  const expires = new Date(Date.now() + 1000 * app.settings.number('session.timeout'))
  if (expires.getTime() - session.expires.getTime() < 60_000) return
  await app.db.updateTable('session').set({ expires }).where('token_hash', '=', session.token_hash).execute()
}

/** Users, each with account and domain, in one query: every call begins with it. */
export function selectCallers(db: Database) {
  return db
    .selectFrom('user')
    .innerJoin('account', 'account.id', 'user.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .select([
      sql<Row<'user'>>`to_jsonb("user")`.as('user'),
      sql<Row<'account'>>`to_jsonb(account)`.as('account'),
      sql<Row<'domain'>>`to_jsonb(domain)`.as('domain'),
    ])
}

/** JSON has no dates: they come as text. */
export function callerFrom({ user, account, domain }: Caller): Caller {
  return { user: withDates(user), account: withDates(account), domain: withDates(domain) }
}

function withDates<R extends { created: Date; removed: Date | null }>(row: R): R {
  return { ...row, created: new Date(row.created), removed: row.removed && new Date(row.removed) }
}

export function unverified(): Problem {
  return new Problem('unauthenticated', 'unverified', 'unable to verify user credentials and/or request signature')
}
