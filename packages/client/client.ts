// The client that the command line, the demo and the tests share: signs a call, sends it, unwraps the answer, and waits for
// the job where there is one.
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError, type Fields, isFields, Unreachable } from './api-error.ts'
import { flatten, type Parameters } from './parameters.ts'
import { type Keys, signed } from './sign.ts'

export interface ClientOptions extends Keys {
  /** Of the server, with or without the path of its API. */
  readonly url: string
}

export interface Progress {
  readonly percent: number
  readonly step: string
}

export interface Client {
  /** What the server answers at once; for a long operation that is the id of its job. */
  call(command: string, parameters?: Parameters): Promise<Fields>
  /** The same, but waits for the job to end and returns its result. */
  run(command: string, parameters?: Parameters, onProgress?: (progress: Progress) => void): Promise<Fields>
}

const firstWaitMs = 20
const longestWaitMs = 500

export function createClient({ url, ...keys }: ClientOptions): Client {
  const endpoint = new URL('/client/api', url).href
  const call: Client['call'] = async (command, parameters = {}) => {
    const form = signed(flatten({ ...parameters, command, response: 'json' }), keys, new Date())
    return unwrap(command, await post(endpoint, form))
  }
  return {
    call,
    async run(command, parameters, onProgress = () => {}) {
      const answer = await call(command, parameters)
      // A job's own description has its id too, and a state beside it.
      if (typeof answer.jobid !== 'string' || 'jobstatus' in answer) return answer
      return resultOf(command, await finished(call, answer.jobid, onProgress))
    },
  }
}

async function post(endpoint: string, form: URLSearchParams): Promise<Response> {
  try {
    return await fetch(endpoint, { method: 'POST', body: form })
  } catch (error) {
    throw new Unreachable(endpoint, error)
  }
}

/** An answer has one key, named after the command; what matters is under it. */
async function unwrap(command: string, response: Response): Promise<Fields> {
  const text = await response.text()
  const body = firstValue(parse(text))
  if (response.ok && isFields(body)) return body
  const otherwise = `${command} was answered with HTTP ${response.status} ${text.slice(0, 200)}`.trim()
  throw new ApiError(response.status, isFields(body) ? body : {}, otherwise)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function firstValue(document: unknown): unknown {
  return isFields(document) ? Object.values(document)[0] : undefined
}

async function finished(
  call: Client['call'],
  jobid: string,
  onProgress: (progress: Progress) => void,
): Promise<Fields> {
  let told = ''
  for (let wait = firstWaitMs; ; wait = Math.min(wait * 1.5, longestWaitMs)) {
    const job = await call('queryAsyncJobResult', { jobid })
    if (job.jobstatus !== 0) return job
    const progress = { percent: Number(job.jobprogress ?? 0), step: typeof job.jobstep === 'string' ? job.jobstep : '' }
    if (told !== JSON.stringify(progress)) onProgress(progress)
    told = JSON.stringify(progress)
    await sleep(wait)
  }
}

function resultOf(command: string, job: Fields): Fields {
  const result = isFields(job.jobresult) ? job.jobresult : {}
  if (job.jobstatus === 1) return result
  const otherwise = `The job of ${command} ${job.jobstatus === 3 ? 'was cancelled' : 'failed'}`
  throw new ApiError(200, { errorcode: job.jobresultcode ?? 530, ...result }, otherwise)
}
