// Login sessions: two secrets, one in an HttpOnly cookie that names the session, one that every call repeats as a
// parameter, so that another site's page cannot call with the cookie alone (cloudstack-api 1.3).
import { Problem } from '@ramet/core/problem.ts'
import '@fastify/cookie' // its types give requests and replies their cookies
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../app.ts'
import { hashPassword, passwordMatches, randomToken, sha256 } from '../secrets.ts'
import type { Row } from '../store/tables.ts'
import { callerFrom, type Request, selectCallers } from './authenticate.ts'
import type { Caller } from './caller.ts'
import type { Answer } from './command.ts'
import { loginAttempts } from './login-attempts.ts'
import { id, longText, text } from './parameters.ts'

const accountTypeNumber = { User: '0', Admin: '1', DomainAdmin: '2' } as const

export const loginParameters = {
  username: text('name of the user').must,
  password: longText('password of the user', 1024).must,
  domain: text('path of the domain, such as / or /training'),
  domainid: id<'domain'>('id of the domain, instead of its path'),
}

export async function login(app: App, { raw }: Request, http: FastifyRequest, reply: FastifyReply): Promise<Answer> {
  if (http.method !== 'POST')
    throw new Problem(
      'wrong-method',
      'login-by-get',
      'login is possible only by POST, so that the password stays out of logs',
    )
  const username = loginParameters.username.read('username', raw)
  const password = loginParameters.password.read('password', raw)
  // As they are looked up, or one name had a new count in each spelling of its domain.
  const who = `${http.ip} ${loginParameters.domainid.read('domainid', raw) ?? domainPath(raw)} ${username}`
  refuseGuessing(who, username)
  const found = await findUser(app, username, raw)
  // An unknown user costs the same time as a wrong password, so that names cannot be found out.
  const right = await passwordMatches(password, found?.user.password_hash ?? (await decoy))
  refuseGuessing(who, username) // of many guesses at once, all came past the first look
  if (!found || !right || found.user.state !== 'enabled' || found.account.state !== 'enabled') {
    attempts.failed(who)
    throw new Problem(
      'login-failed',
      'login-failed',
      `Failed to authenticate user ${username}: check the name, the password and the domain`,
    )
  }
  attempts.succeeded(who)
  const caller = callerFrom(found)
  return describe(app, caller, await openSession(app, caller.user, reply))
}

const attempts = loginAttempts()

function refuseGuessing(who: string, username: string): void {
  const seconds = attempts.waitSeconds(who)
  if (seconds > 0)
    throw new Problem(
      'login-failed',
      'too-many-logins',
      `Too many failed logins of ${username} from this address; try again in ${seconds} seconds`,
    )
}

const decoy = hashPassword(randomToken(16))

async function findUser(app: App, username: string, raw: ReadonlyMap<string, string>): Promise<Caller | undefined> {
  const domainId = loginParameters.domainid.read('domainid', raw)
  return selectCallers(app.db)
    .where('user.username', '=', username)
    .where('user.removed', 'is', null)
    .where(eb => (domainId ? eb('domain.id', '=', domainId) : eb('domain.path', '=', domainPath(raw))))
    .where('domain.removed', 'is', null)
    .executeTakeFirst()
}

function domainPath(raw: ReadonlyMap<string, string>): string {
  return `/${(loginParameters.domain.read('domain', raw) ?? '').split('/').filter(Boolean).join('/')}`
}

async function openSession(app: App, user: Row<'user'>, reply: FastifyReply): Promise<string> {
  const [token, sessionkey] = [randomToken(32), randomToken(24)]
  const seconds = app.settings.number('session.timeout')
  await app.db.deleteFrom('session').where('expires', '<', new Date()).execute()
  await app.db
    .insertInto('session')
    .values({
      token_hash: sha256(token),
      session_key_hash: sha256(sessionkey),
      user_id: user.id,
      expires: new Date(Date.now() + 1000 * seconds),
    })
    .execute()
  reply.setCookie('JSESSIONID', token, { httpOnly: true, path: '/', sameSite: 'lax' })
  reply.setCookie('sessionkey', sessionkey, { httpOnly: true, path: '/', sameSite: 'lax' })
  return sessionkey
}

function describe(app: App, { user, account, domain }: Caller, sessionkey: string): Answer {
  return {
    username: user.username,
    userid: user.id,
    domainid: domain.id,
    timeout: app.settings.number('session.timeout'),
    account: account.name,
    firstname: user.firstname,
    lastname: user.lastname,
    type: accountTypeNumber[account.type],
    timezone: user.timezone ?? 'UTC',
    timezoneoffset: '0.0',
    registered: 'false',
    sessionkey,
    is2faenabled: 'false',
    is2faverified: 'true',
  }
}

/** Works without a session too: the web page of CloudStack calls it before every login. */
export async function logout(app: App, { cookies }: Request, reply: FastifyReply): Promise<Answer> {
  const token = cookies['JSESSIONID']
  if (token) await app.db.deleteFrom('session').where('token_hash', '=', sha256(token)).execute()
  for (const name of ['JSESSIONID', 'sessionkey']) reply.clearCookie(name, { path: '/' })
  return { description: 'success' }
}
