// One vCenter, or one ESXi: its session, its tasks, and a task's start and end in one call.
import { Connection, type ConnectionOptions } from './vim25/connection.ts'
import type { Any, MethodName, Parameters, Ref, Result } from './vim25/schema.ts'
import { type TaskOptions, Tasks } from './vim25/tasks.ts'
import { VmwareFeatures } from './features.ts'

/** Methods that start a task. */
export type TaskMethod = Extract<MethodName, `${string}_Task`>

const makesMachine = new Set<string>(['CloneVM_Task', 'InstantClone_Task'])

export class Vcenter {
  readonly connection: Connection
  readonly tasks: Tasks
  readonly features: VmwareFeatures

  private constructor(connection: Connection) {
    this.connection = connection
    this.tasks = new Tasks(connection)
    this.features = new VmwareFeatures(connection.content.about)
  }

  static async open(options: ConnectionOptions): Promise<Vcenter> {
    return new Vcenter(await Connection.open(options))
  }

  call<M extends MethodName>(self: Ref, method: M, parameters: Parameters<M>): Promise<Result<M>> {
    return this.connection.call(self, method, parameters)
  }

  /** Starts a task and waits for its end: its result, or its fault. */
  async run<M extends TaskMethod>(
    self: Ref,
    method: M,
    parameters: Parameters<M>,
    options?: TaskOptions,
  ): Promise<Any | undefined> {
    const task: unknown = await this.connection.call(self, method, parameters)
    const needsResult = makesMachine.has(method)
    return (await this.tasks.ended(task as Ref, { ...options, needsResult })) as Any | undefined
  }

  async close(): Promise<void> {
    await this.tasks.close()
    await this.connection.close()
  }
}
