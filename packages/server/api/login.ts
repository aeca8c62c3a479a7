// Login sessions: two secrets, one in an HttpOnly cookie that names the session, one that every call repeats as a
// parameter, so that another site's page cannot call with the cookie alone (cloudstack-api 1.3).
import { Problem } from '@ramet/core/problem.ts'
import '@fastify/cookie' // its types give requests and replies their cookies
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../app.ts'
import { hashPassword, passwordMatches, randomToken, sha256 } from '../secrets.ts'
import type { Row } from '../store/tables.ts'
import { callerOf, type Request } from './authenticate.ts'
import type { Caller } from './caller.ts'
import type { Answer } from './command.ts'
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
  const user = await findUser(app, username, raw)
  // An unknown user costs the same time as a wrong password, so that names cannot be found out.
  const right = await passwordMatches(password, user?.password_hash ?? (await decoy))
  if (!user || !right || user.state !== 'enabled')
    throw new Problem(
      'login-failed',
      'login-failed',
      `Failed to authenticate user ${username}: check the name, the password and the domain`,
    )
  const caller = await callerOf(app, user)
  const sessionkey = await openSession(app, user, reply)
  return describe(app, caller, sessionkey)
}

const decoy = hashPassword(randomToken(16))

async function findUser(
  app: App,
  username: string,
  raw: ReadonlyMap<string, string>,
): Promise<Row<'user'> | undefined> {
  const domainId = loginParameters.domainid.read('domainid', raw)
  const path = `/${(raw.get('domain') ?? '').split('/').filter(Boolean).join('/')}`
  return app.db
    .selectFrom('user')
    .innerJoin('account', 'account.id', 'user.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .selectAll('user')
    .where('username', '=', username)
    .where(eb => (domainId ? eb('domain.id', '=', domainId) : eb('domain.path', '=', path)))
    .executeTakeFirst()
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
    timezone: 'UTC',
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
