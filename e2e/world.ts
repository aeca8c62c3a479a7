// A server seen by someone who uses it: templates, machines and logins, in a user's words. The demo, the journeys and the
// benchmarks share it; everything goes through the API, and into guests by SSH.
import type { Client } from '@ramet/client/client.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { awaitSsh, type KeyPair, makeKeyPair, ssh } from './ssh.ts'

export interface Machine {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly cloneType: string
  readonly chainDepth: number
  readonly sshAddress: string
  readonly exclusiveBytes: number
  readonly sharedBytes: number
  readonly password: string | undefined
  /** From the call to the end of its job. */
  readonly deployMs: number
}

export interface DeployOptions {
  readonly [parameter: string]: string | number | boolean
}

type Fields = Record<string, unknown>

export class World {
  readonly client: Client
  readonly zone: string
  readonly offering: string
  readonly key: KeyPair

  private constructor(client: Client, zone: string, offering: string, key: KeyPair) {
    this.client = client
    this.zone = zone
    this.offering = offering
    this.key = key
  }
  static async open(client: Client): Promise<World> {
    const [zone] = await list(client, 'listZones', 'zone')
    const [offering] = await list(client, 'listServiceOfferings', 'serviceoffering', { name: 'Tiny Instance' })
    const key = await makeKeyPair()
    process.once('exit', () => void key.remove())
    await client.call('registerSSHKeyPair', { name: 'demo', publickey: key.publicKey })
    return new World(client, zone?.['id'] as string, offering?.['id'] as string, key)
  }

  async acceleration(): Promise<string> {
    const [host] = await list(this.client, 'listHosts', 'host')
    return (host?.['details'] as Fields | undefined)?.['acceleration'] as string
  }

  async registerTemplate(file: string, set: DeployOptions = {}): Promise<{ id: string; bytes: number }> {
    await this.client.call('updateConfiguration', { name: 'allow.register.local.path', value: true })
    const answer = await this.client.call('registerTemplate', {
      name: 'tiny',
      displaytext: 'A small Linux with SSH and a guest agent',
      format: 'QCOW2',
      hypervisor: 'KVM',
      zoneid: this.zone,
      url: `file://${file}`,
      ispublic: true,
      passwordenabled: true,
      ...set,
    })
    const id = (answer['template'] as Fields[])[0]?.['id'] as string
    const ready = await eventually('the template is ready', async () => {
      const template = await this.template(id)
      if (String(template['status']).startsWith('Failed')) throw new Error(String(template['status']))
      return template['isready'] ? template : null
    })
    return { id, bytes: ready['physicalsize'] as number }
  }

  async template(id: string): Promise<Fields> {
    const [template] = await list(this.client, 'listTemplates', 'template', {
      templatefilter: 'all',
      id,
      showremoved: true,
    })
    if (!template) throw new Error(`there is no template ${id}`)
    return template
  }

  /** Waits until its copies on primary storage are gone too, which nothing may stand on any more. */
  async deleteTemplate(id: string): Promise<void> {
    await this.client.run('deleteTemplate', { id })
    await this.quiet()
  }

  async deploy(template: string, name: string, cloneType?: string, set: DeployOptions = {}): Promise<Machine> {
    const begin = performance.now()
    const result = await this.client.run('deployVirtualMachine', {
      zoneid: this.zone,
      serviceofferingid: this.offering,
      templateid: template,
      name,
      keypair: 'demo',
      ...(cloneType && { clonetype: cloneType }),
      ...set,
    })
    return machineOf(result['virtualmachine'] as Fields, Math.round(performance.now() - begin))
  }

  async machine(id: string): Promise<Machine> {
    const [found] = await list(this.client, 'listVirtualMachines', 'virtualmachine', { id })
    if (!found) throw new Error(`there is no machine ${id}`)
    return machineOf(found, 0)
  }

  async machines(): Promise<Machine[]> {
    return (await list(this.client, 'listVirtualMachines', 'virtualmachine', { listall: true })).map(each =>
      machineOf(each, 0),
    )
  }

  async stop({ id }: Pick<Machine, 'id'>, forced = false): Promise<Machine> {
    return this.#moved(await this.client.run('stopVirtualMachine', { id, forced }))
  }

  async start({ id }: Pick<Machine, 'id'>): Promise<Machine> {
    return this.#moved(await this.client.run('startVirtualMachine', { id }))
  }

  async reboot({ id }: Pick<Machine, 'id'>): Promise<Machine> {
    return this.#moved(await this.client.run('rebootVirtualMachine', { id }))
  }

  async expunge({ id }: Pick<Machine, 'id'>): Promise<void> {
    await this.client.run('destroyVirtualMachine', { id, expunge: true })
  }

  /** Waits until no job is left. */
  async quiet(): Promise<void> {
    await eventually('all jobs end', async () => {
      const jobs = await list(this.client, 'listAsyncJobs', 'asyncjobs', { listall: true })
      return jobs.every(job => job['jobstatus'] !== 0)
    })
  }

  ssh({ sshAddress }: Pick<Machine, 'sshAddress'>, command: string): Promise<string> {
    return ssh(sshAddress, this.key, command)
  }

  async awaitSsh({ sshAddress }: Pick<Machine, 'sshAddress'>): Promise<void> {
    await awaitSsh(sshAddress, this.key)
  }

  #moved(result: Fields): Machine {
    return machineOf(result['virtualmachine'] as Fields, 0)
  }
}

function machineOf(fields: Fields, deployMs: number): Machine {
  return {
    id: fields['id'] as string,
    name: fields['name'] as string,
    state: fields['state'] as string,
    cloneType: fields['clonetype'] as string,
    chainDepth: (fields['chaindepth'] as number | undefined) ?? 0,
    sshAddress: (fields['sshaddress'] as string | undefined) ?? '',
    exclusiveBytes: (fields['exclusivebytes'] as number | undefined) ?? 0,
    sharedBytes: (fields['sharedbytes'] as number | undefined) ?? 0,
    password: fields['password'] as string | undefined,
    deployMs,
  }
}

export async function list(
  client: Client,
  command: string,
  object: string,
  parameters: DeployOptions = {},
): Promise<Fields[]> {
  return ((await client.call(command, parameters))[object] ?? []) as Fields[]
}
