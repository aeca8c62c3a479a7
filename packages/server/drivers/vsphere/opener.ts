// A vSphere cluster by the connection that an operator gives: https://HOST/DATACENTER/CLUSTER, as CloudStack writes it.
import { Problem } from '@ramet/core/problem.ts'
import { type VsphereDriver, capabilities, vsphereDriver } from './driver.ts'

export interface ClusterConnection {
  readonly url: string
  readonly username: string
  readonly password: string
  /** SHA-256 of the one certificate that is trusted; null: those that this machine trusts. */
  readonly thumbprint: string | null
}

export const vsphereOpener = {
  hypervisor: 'VMware',
  capabilities,
  async open({ url, username, password, thumbprint }: ClusterConnection): Promise<VsphereDriver> {
    const { server, cluster } = parts(url)
    const trust = thumbprint === null ? 'system' : { thumbprint }
    return await vsphereDriver({ url: server, cluster, username, password, trust })
  },
} as const

function parts(text: string): { server: string; cluster: string } {
  const url = URL.canParse(text) ? new URL(text) : null
  const cluster = url?.pathname.split('/').filter(Boolean).map(decodeURIComponent).join('/') ?? ''
  if (url?.protocol !== 'https:' || cluster === '')
    throw new Problem(
      'invalid',
      'vsphere-bad-url',
      `A cluster of vSphere has an address such as https://HOST/DATACENTER/CLUSTER, and this is ${text}`,
    )
  return { server: `https://${url.host}/sdk`, cluster }
}
