// The tree of an ordinary Debian system, made by mmdebstrap from what the machine's own apt has to offer.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../tiny/run.ts'

/** What the project's own cloud images have beyond the packages that are required, in short. */
const packages = [
  ...['systemd-sysv', 'dbus', 'libpam-systemd', 'udev', 'kmod', 'procps', 'locales', 'less', 'sudo', 'ca-certificates'],
  ...[
    'netplan.io',
    'systemd-resolved',
    'libnss-resolve',
    'libnss-myhostname',
    'systemd-timesyncd',
    'iproute2',
    'netbase',
  ],
  ...['cloud-init', 'cloud-guest-utils', 'qemu-guest-agent', 'openssh-server'],
  ...['linux-image-amd64', 'initramfs-tools', 'zstd', 'e2fsprogs', 'grub-pc'],
]

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** GRUB's package asks where to put itself. Nowhere yet; on /dev/vda when a user upgrades it. */
const answers = [
  'grub-pc grub-pc/install_devices multiselect /dev/vda',
  'grub-pc grub-pc/install_devices_empty boolean true',
]

const finish = [
  // What the builder's machine lent does not stay: its name and its name servers.
  'echo localhost > "$1"/etc/hostname',
  'ln -sf ../run/systemd/resolve/stub-resolv.conf "$1"/etc/resolv.conf',
  'rm -f "$1"/etc/ssh/ssh_host_*', // cloud-init makes new ones for every instance
  // Without this, cloud-init has every new machine generate a locale, which takes as long as the rest of its boot.
  'echo "locale: C.UTF-8" > "$1"/etc/cloud/cloud.cfg.d/10_locale.cfg',
]

/** Debian's own images have a file of this name and purpose: any card asks for an address, also one that is plugged in while the system runs. */
const anyCard = `network:
  version: 2
  ethernets:
${['en', 'eth'].map(prefix => `    all-${prefix}: {match: {name: "${prefix}*"}, dhcp4: true, dhcp6: true}`).join('\n')}
`

export interface Debian {
  /** Such as `bookworm`. */
  readonly codename: string
  /** In the form of sources.list. */
  readonly sources: readonly string[]
}

/** The release that this machine runs, from the places that its apt knows; null on another distribution. */
export async function findDebian(): Promise<Debian | null> {
  const [id, codename] = (await run('sh', ['-c', '. /etc/os-release; echo "$ID $VERSION_CODENAME"'])).trim().split(' ')
  if (id !== 'debian' || !codename) return null
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)'
  const targets = await run('apt-get', ['indextargets', '--format', format, 'Identifier: Packages', 'Origin: Debian'])
  const lines = targets.split('\n').filter(line => line.split(' ')[1]?.startsWith(codename))
  return { codename, sources: lines.map(line => `deb [signed-by=${keyring}] ${line}`) }
}

/** An unpacked and configured system, in the directory `tree`. */
export async function makeTree(debian: Debian, tree: string): Promise<void> {
  const answer = `printf '%s\\n' ${answers.map(line => `'${line}'`).join(' ')} | chroot "$1" debconf-set-selections`
  const hooks = [`--essential-hook=${answer}`, ...finish.map(line => `--customize-hook=${line}`)]
  const what = ['--variant=minbase', `--include=${packages.join(',')}`]
  await run('mmdebstrap', ['--quiet', '--mode=root', ...what, ...hooks, debian.codename, tree, ...debian.sources])
  await writeFile(join(tree, 'etc/netplan/90-default.yaml'), anyCard, { mode: 0o600 })
}
