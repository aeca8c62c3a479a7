// HTTPS to one server whose certificate is known: by its SHA-256 thumbprint, by an authority, or by the system's authorities. The
// certificate is looked at before a byte is sent; there is no way to do without.
import { Agent, type AgentOptions, request } from 'node:https'
import type { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import { ServerSilent } from './faults.ts'

export type Trust = { readonly thumbprint: string } | { readonly authority: string } | 'system'

export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly cookie: string | null
  readonly body: Uint8Array
}

export interface Call {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Posted; a GET without. */
  readonly body: string | null
  readonly limitMs: number
  readonly signal: AbortSignal
}

/** The certificate is not the one that the operator trusts. */
export class UntrustedServer extends Error {
  override readonly name = 'UntrustedServer'
}

/** Answers larger than this are cut off: 5,000 machines with all we read of them have a tenth of it. */
const largestAnswer = 512 * 2 ** 20

export class Transport {
  readonly #url: URL
  readonly #agent: Agent

  constructor(url: URL, trust: Trust) {
    this.#url = url
    this.#agent = trustingAgent(trust)
  }

  send({ path, headers, body, limitMs, signal }: Call): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const outgoing = request(new URL(path, this.#url), {
      agent: this.#agent,
      method: body === null ? 'GET' : 'POST',
      headers: { ...headers, ...(body === null ? {} : { 'content-length': Buffer.byteLength(body) }) },
      signal,
    })
    let sent = false
    const fail = (error: Error) => reject(this.#explain(error, sent, signal))
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${limitMs} ms`)), limitMs)
    outgoing.on('close', () => clearTimeout(timer))
    outgoing.on('socket', socket => whenConnected(socket as TLSSocket, () => (sent = true)))
    outgoing.on('error', fail)
    outgoing.on('response', response => {
      const parts: Uint8Array[] = []
      let size = 0
      response.on('data', (part: Uint8Array) => {
        size += part.length
        parts.push(part)
        if (size > largestAnswer) outgoing.destroy(new Error(`an answer of more than ${largestAnswer} bytes`))
      })
      response.on('error', fail)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          contentType: response.headers['content-type'] ?? '',
          cookie: response.headers['set-cookie']?.map(each => each.split(';')[0]).join('; ') ?? null,
          body: Buffer.concat(parts),
        }),
      )
    })
    outgoing.end(body ?? undefined)
    return promise
  }

  close(): void {
    this.#agent.destroy()
  }

  #explain(error: Error, sent: boolean, signal: AbortSignal): unknown {
    if (error instanceof UntrustedServer) return error
    if (signal.aborted) return signal.reason
    return new ServerSilent(`${this.#url.host} does not answer: ${error.message}`, sent, { cause: error })
  }
}

function whenConnected(socket: TLSSocket, act: () => void): void {
  if (socket.connecting) socket.once('secureConnect', act)
  else act()
}

function trustingAgent(trust: Trust): Agent {
  const keep = { keepAlive: true, maxCachedSessions: 0 }
  if (trust === 'system') return new TrustingAgent(keep, byAuthority)
  if ('authority' in trust) return new TrustingAgent({ ...keep, ca: trust.authority }, byAuthority)
  return new TrustingAgent(keep, byThumbprint(trust.thumbprint))
}

type Connected = (error: Error | null, socket: Duplex) => void
/** Why the server at the other end is not trusted; null: it is. */
type Judge = (socket: TLSSocket) => string | null

/** Judges the certificate itself once it has seen it, so that a refusal can tell which one it was. */
class TrustingAgent extends Agent {
  readonly #judge: Judge

  constructor(options: AgentOptions, judge: Judge) {
    super(options)
    this.#judge = judge
  }

  override createConnection(options: object, callback?: Connected): undefined {
    const done = callback ?? (() => {})
    const socket = connect({ ...options, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    const failed = (error: Error) => done(error, socket)
    socket.once('error', failed)
    socket.once('secureConnect', () => {
      socket.off('error', failed)
      const problem = this.#judge(socket)
      if (problem === null) return done(null, socket)
      const refusal = `${problem}: its SHA-256 thumbprint is ${thumbprintOf(socket)}. ${advice}`
      socket.destroy()
      done(new UntrustedServer(refusal), socket)
    })
  }
}

const advice = "If that is the server's own, trust it by that"

/** Node has looked at chain, dates and name, and does not insist. */
const byAuthority: Judge = ({ authorized, authorizationError: why }) =>
  authorized ? null : `No authority that is trusted here vouches for the server's certificate (${String(why)})`

/** Takes a server for itself by its certificate alone, whoever signed it. */
function byThumbprint(thumbprint: string): Judge {
  const trusted = normal(thumbprint)
  if (!/^[0-9a-f]{64}$/.test(trusted))
    throw new UntrustedServer(
      'A thumbprint is the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons',
    )
  return socket =>
    normal(thumbprintOf(socket)) === trusted ? null : 'The server shows another certificate than the trusted one'
}

/** As vSphere's own client shows it. */
function thumbprintOf(socket: TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256 ?? ''
}

function normal(thumbprint: string): string {
  return thumbprint.replaceAll(':', '').trim().toLowerCase()
}
