// The CloudStack API door: one route, any command. Reads the request, finds the command, asks who calls, and wraps what
// the command answers, or why it does not. Login and logout are commands too, but they also speak of cookies.
import { asProblem, Problem } from '@ramet/core/problem.ts'
import '@fastify/cookie' // its types give requests and replies their cookies
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../app.ts'
import { authenticate, type Request } from './authenticate.ts'
import { demandPermission, notAvailable } from './caller.ts'
import type { Answer, Command } from './command.ts'
import { commands } from './commands/index.ts'
import { envelopeOf, type Format, wrap } from './envelope.ts'
import { wireError } from './errors.ts'
import { login, logout } from './login.ts'

const byName = new Map(commands.map(command => [command.name.toLowerCase(), command]))

export function commandNamed(name: string): Command | undefined {
  return byName.get(name.toLowerCase())
}

export function openDoor(server: FastifyInstance, app: App): void {
  server.route({
    method: ['GET', 'POST'],
    url: '/client/api',
    handler: (request, reply) => answer(app, request, reply),
  })
}

async function answer(app: App, http: FastifyRequest, reply: FastifyReply): Promise<string> {
  const request = readRequest(http)
  const format: Format = request.raw.get('response')?.toLowerCase() === 'json' ? 'json' : 'xml'
  const name = request.raw.get('command') ?? ''
  const envelope = commandNamed(name)?.envelope ?? (isKnown(name) ? envelopeOf(name) : 'errorresponse')
  try {
    return send(reply, format, envelope, 200, await perform(app, request, name, http, reply))
  } catch (error) {
    const problem = asProblem(error)
    if (problem.kind === 'internal') app.log.error({ err: error, command: name }, 'command failed')
    const wire = wireError(problem)
    // Cut: a client reads 16 KiB of headers at most, and a message may repeat what the caller wrote.
    reply.header('X-Description', encodeURI(problem.message.slice(0, 1000).toWellFormed()))
    return send(reply, format, envelope, wire.errorcode, { ...wire })
  }
}

function isKnown(name: string): boolean {
  return commandNamed(name) !== undefined || ['login', 'logout'].includes(name.toLowerCase())
}

async function perform(
  app: App,
  request: Request,
  name: string,
  http: FastifyRequest,
  reply: FastifyReply,
): Promise<Answer> {
  if (name.toLowerCase() === 'login') return login(app, request, http, reply)
  if (name.toLowerCase() === 'logout') return logout(app, request, reply)
  const caller = await authenticate(app, request)
  const command = commandNamed(name)
  if (!command) throw unknownCommand(request, name)
  demandPermission(caller, command.permission, command.name)
  return command.run(app, caller, request.raw)
}

/** In a session the code must be another than 401, which ends it (cloudstack-api 1.2, 1.9). */
function unknownCommand({ raw }: Request, name: string): Problem {
  if (name && raw.has('apikey')) return notAvailable(name)
  return new Problem(
    'unknown-command',
    'unknown-command',
    name ? `There is no command "${name}"; listApis tells them all` : 'Parameter command is missing',
  )
}

/** Parameters come in the query string, in a form body, or both; of a name given twice the last counts. */
function readRequest(http: FastifyRequest): Request {
  const query = http.url.includes('?') ? http.url.slice(http.url.indexOf('?') + 1) : ''
  const body = typeof http.body === 'string' ? http.body : ''
  const pairs = [...new Map([...new URLSearchParams(query), ...new URLSearchParams(body)])]
  return { pairs, raw: new Map(pairs.map(([name, value]) => [name.toLowerCase(), value])), cookies: http.cookies }
}

function send(reply: FastifyReply, format: Format, envelope: string, status: number, content: Answer): string {
  const { contentType, body } = wrap(format, envelope, content)
  reply.code(status).header('content-type', contentType)
  return body
}
