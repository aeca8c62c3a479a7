// Calls that make machines, with the times at which a client is answered, the machine's process runs, and the job is done.
import { readFile } from 'node:fs/promises'
import { eventually } from '@ramet/server/testing/eventually.ts'
import type { DeployOptions, World } from '../world.ts'
import type { LiveEvents } from './live-events.ts'

/** Milliseconds from the call. */
export interface Deployed {
  readonly id: string
  /** The answer with the job's id. */
  readonly answered: number
  /** The process's monitor said `running`, by the server's log, to the millisecond; NaN where no machine was started. */
  readonly running: number
  /** It was told that the job is done. */
  readonly done: number
}

export class TimedCalls {
  readonly #logFile: string
  readonly #world: World
  readonly #events: LiveEvents

  constructor(logFile: string, world: World, events: LiveEvents) {
    this.#logFile = logFile
    this.#world = world
    this.#events = events
  }

  async make(command: string, set: DeployOptions & { readonly name: string }): Promise<Deployed> {
    const begin = performance.now()
    const { id, jobid } = await this.#world.client.call(command, set)
    const answered = performance.now() - begin
    const told = await this.#events.untilEnd(String(jobid))
    const last = told.at(-1)
    if (last?.state !== 'done') throw await this.#failure(set.name, String(jobid))
    const running = set['startvm'] === false ? Number.NaN : await this.#loggedRunning(String(id))
    return { id: String(id), answered, running: running - performance.timeOrigin - begin, done: last.at - begin }
  }

  async #loggedRunning(vm: string): Promise<number> {
    return eventually('the log tells that the machine runs', async () => {
      const lines = (await readFile(this.#logFile, 'utf8')).split('\n')
      const line = lines.findLast(each => each.includes(vm) && each.includes('a machine runs'))
      return line ? Date.parse((JSON.parse(line) as { time: string }).time) : null
    })
  }

  async #failure(name: string, jobid: string): Promise<Error> {
    const { jobresult } = await this.#world.client.call('queryAsyncJobResult', { jobid })
    return new Error(`the making of ${name} failed: ${JSON.stringify(jobresult)}`)
  }
}
