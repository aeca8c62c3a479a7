// One vCenter, or one ESXi: its session, its tasks, and a task's start and end in one call. No more tasks than the operator allows are
// under way at once; others wait for their turn here.
import type { VmId } from '@ramet/core/ids.ts'
import { VmwareFeatures } from './features.ts'
import { AtMost } from './at-most.ts'
import { Connection, type ConnectionOptions } from './vim25/connection.ts'
import type { Any, MethodName, Parameters, Ref, Result } from './vim25/schema.ts'
import { type TaskOptions, Tasks } from './vim25/tasks.ts'

/** Methods that start a task. */
export type TaskMethod = Extract<MethodName, `${string}_Task`>

export interface VcenterOptions extends ConnectionOptions {
  /** How many tasks may be under way at once. */
  readonly mostTasks?: number
}

export interface RunOptions extends TaskOptions {
  /** The machine of ours that it is about. */
  readonly vm?: VmId
}

/** A task that began, or ended: well, or why not. */
export interface ToldTask {
  readonly task: Ref
  readonly method: TaskMethod
  readonly vm: VmId | null
  readonly outcome: string | null
}

const makesMachine = new Set<string>(['CloneVM_Task', 'InstantClone_Task'])

export class Vcenter {
  readonly connection: Connection
  readonly tasks: Tasks
  readonly features: VmwareFeatures
  readonly #turns: AtMost
  readonly #listeners = new Set<(told: ToldTask) => void>()

  private constructor(connection: Connection, mostTasks: number) {
    this.connection = connection
    this.tasks = new Tasks(connection)
    this.features = new VmwareFeatures(connection.content.about)
    this.#turns = new AtMost(mostTasks)
  }

  static async open(options: VcenterOptions): Promise<Vcenter> {
    return new Vcenter(await Connection.open(options), options.mostTasks ?? 200)
  }

  call<M extends MethodName>(self: Ref, method: M, parameters: Parameters<M>): Promise<Result<M>> {
    return this.connection.call(self, method, parameters)
  }

  /** Starts a task and waits for its end: its result, or its fault. */
  run<M extends TaskMethod>(
    self: Ref,
    method: M,
    parameters: Parameters<M>,
    options: RunOptions = {},
  ): Promise<Any | undefined> {
    return this.#turns.take(async () => {
      options.signal?.throwIfAborted()
      const task = (await this.connection.call(self, method, parameters)) as unknown as Ref
      const tell = (outcome: string | null) => this.#tell({ task, method, vm: options.vm ?? null, outcome })
      tell(null)
      try {
        const result = await this.tasks.ended(task, { ...options, needsResult: makesMachine.has(method) })
        tell('success')
        return result as Any | undefined
      } catch (error) {
        tell(error instanceof Error ? error.message : String(error))
        throw error
      }
    })
  }

  /** Calls `listener` at the start and at the end of each task that we begin. Returns how to stop listening. */
  onTask(listener: (told: ToldTask) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    await this.tasks.close()
    await this.connection.close()
  }

  #tell(told: ToldTask): void {
    for (const each of this.#listeners) each(told)
  }
}
