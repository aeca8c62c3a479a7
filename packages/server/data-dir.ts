// Where a server keeps everything, where nobody says otherwise. Shared by serve, doctor and the command line.
import { homedir } from 'node:os'
import { join } from 'node:path'

export function defaultDataDir(env: NodeJS.ProcessEnv, isRoot = process.getuid?.() === 0): string {
  if (env['RAMET_DATA_DIR']) return env['RAMET_DATA_DIR']
  return isRoot ? '/var/lib/ramet' : join(homedir(), '.local/share/ramet')
}
