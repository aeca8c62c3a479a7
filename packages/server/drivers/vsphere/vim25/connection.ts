// A session with a vCenter or ESXi: calls of methods, typed by the schema, logged in again when the session has ended.
import { decodeField } from './decode.ts'
import { encodeCall } from './encode.ts'
import { ServerSilent, isFault } from './faults.ts'
import { type Data, type MethodName, type Parameters, type Ref, type Result, resultOf } from './schema.ts'
import { bodyOf, envelope, versionsIn } from './soap.ts'
import { Transport, type Trust } from './transport.ts'
import { chooseVersion, lower } from './version.ts'

export interface ConnectionOptions {
  /** https://HOST/sdk */
  readonly url: string
  readonly username: string
  readonly password: string
  readonly trust: Trust
  /** How long a call may take. */
  readonly limitMs?: number
  /** How often a quiet session is used, so that it does not end; servers end them after half an hour. */
  readonly keepAliveMs?: number
}

export interface CallOptions {
  readonly signal?: AbortSignal
  readonly limitMs?: number
}

const never = new AbortController().signal
const serviceInstance: Ref = 'ServiceInstance:ServiceInstance'

/** Methods that change nothing, so that a call whose answer was lost may be made again. */
const reads = new Set<string>([
  'CurrentTime',
  'RetrieveServiceContent',
  'RetrievePropertiesEx',
  'CreatePropertyCollector',
])

export class Connection {
  readonly #options: ConnectionOptions
  readonly #transport: Transport
  #version = '5.0'
  #cookie: string | null = null
  #content: Data<'ServiceContent'> | null = null
  #login: Promise<void> | null = null
  #loginRefused: unknown = null
  #session = 0
  readonly #renewed = new Set<() => void>()
  #keepAlive: NodeJS.Timeout | null = null

  private constructor(options: ConnectionOptions) {
    this.#options = options
    this.#transport = new Transport(new URL(options.url), options.trust)
  }

  static async open(options: ConnectionOptions): Promise<Connection> {
    const connection = new Connection(options)
    try {
      await connection.#begin()
      return connection
    } catch (error) {
      connection.#transport.close()
      throw error
    }
  }

  /** The version of the API that is spoken: the highest that both sides know. */
  get version(): string {
    return this.#version
  }

  get content(): Data<'ServiceContent'> {
    if (!this.#content) throw new Error('not connected')
    return this.#content
  }

  /** Counts logins. What belongs to a session (filters, views, collectors) is gone when this has changed. */
  get session(): number {
    return this.#session
  }

  /** Calls `listener` whenever a session begins anew. Returns how to stop listening. */
  onRenewed(listener: () => void): () => void {
    this.#renewed.add(listener)
    return () => this.#renewed.delete(listener)
  }

  /** Calls a method of a managed object. A session that has ended is begun anew, once. */
  async call<M extends MethodName>(
    self: Ref,
    method: M,
    parameters: Parameters<M>,
    options: CallOptions = {},
  ): Promise<Result<M>> {
    return (await this.#persist(self, method, parameters, options)) as Result<M>
  }

  async #persist(self: Ref, method: MethodName, parameters: object, options: CallOptions): Promise<unknown> {
    const session = this.#session
    try {
      return await this.#post(self, method, parameters, options)
    } catch (error) {
      if (!isFault(error, 'NotAuthenticated')) {
        if (!(error instanceof ServerSilent) || !reads.has(method) || options.signal?.aborted) throw error
        return await this.#post(self, method, parameters, options)
      }
      if (this.#session === session) await this.#logIn()
      return await this.#post(self, method, parameters, options)
    }
  }

  /** Ends the session. Servers bound their number, and one that is left only ends by being idle. */
  async close(): Promise<void> {
    if (this.#keepAlive) clearInterval(this.#keepAlive)
    const manager = this.#content?.sessionManager
    if (manager && this.#cookie) await this.#post(manager, 'Logout', {}, { limitMs: 5000 }).catch(() => {})
    this.#transport.close()
  }

  async #begin(): Promise<void> {
    this.#version = await this.#negotiate()
    this.#content = (await this.#post(serviceInstance, 'RetrieveServiceContent', {}, {})) as Data<'ServiceContent'>
    this.#version = lower(this.#version, this.#content.about.apiVersion)
    await this.#logIn()
    const { keepAliveMs = 10 * 60_000 } = this.#options
    this.#keepAlive = setInterval(() => void this.#touch(), keepAliveMs)
    this.#keepAlive.unref()
  }

  async #touch(): Promise<void> {
    await this.call(serviceInstance, 'CurrentTime', {}).catch(() => {}) // the next call tells what is wrong
  }

  async #negotiate(): Promise<string> {
    const answer = await this.#transport.send({
      path: '/sdk/vimServiceVersions.xml',
      headers: {},
      body: null,
      limitMs: this.#limit({}),
      signal: never,
    })
    const chosen = chooseVersion(versionsIn(answer))
    if (chosen === null)
      throw new ServerSilent(`${this.#options.url} speaks no version of the vSphere API that we know`, false)
    return chosen
  }

  /** One login at a time; who comes meanwhile shares it. A wrong password is not tried twice: accounts are locked that way. */
  #logIn(): Promise<void> {
    this.#login ??= this.#reallyLogIn().finally(() => (this.#login = null))
    return this.#login
  }

  async #reallyLogIn(): Promise<void> {
    if (this.#loginRefused !== null) throw this.#loginRefused
    const { username: userName, password } = this.#options
    const manager = this.content.sessionManager ?? 'SessionManager:SessionManager'
    this.#cookie = null
    try {
      await this.#post(manager, 'Login', { userName, password }, {})
      this.#session++
      for (const each of this.#renewed) each()
    } catch (error) {
      if (isFault(error, 'InvalidLogin')) this.#loginRefused = error
      throw error
    }
  }

  #limit({ limitMs }: CallOptions): number {
    return limitMs ?? this.#options.limitMs ?? 60_000
  }

  async #post(self: Ref, method: MethodName, parameters: object, options: CallOptions): Promise<unknown> {
    const answer = await this.#transport.send({
      path: new URL(this.#options.url).pathname,
      headers: this.#headers(),
      body: envelope(encodeCall(method, self, parameters, this.#version)),
      limitMs: this.#limit(options),
      signal: options.signal ?? never,
    })
    if (answer.cookie !== null) this.#cookie = answer.cookie
    const field = resultOf(method)
    const body = bodyOf(answer)
    return field === null ? undefined : decodeField(field, body)
  }

  #headers(): Record<string, string> {
    return {
      'content-type': 'text/xml; charset=utf-8',
      soapaction: `urn:vim25/${this.#version}`,
      ...(this.#cookie === null ? {} : { cookie: this.#cookie }),
    }
  }
}
