// VM snapshots as lines of a tree, in the order in which they were taken:
//
//   A
//   ├─ B
//   │  └─ D
//   └─ C

export interface Node {
  readonly id: string
  /** Null, or one that is not among them: it stands at the top. */
  readonly parent: string | null
}

export interface Line<N> {
  readonly node: N
  /** What stands before its name. */
  readonly indent: string
}

export function treeLines<N extends Node>(nodes: readonly N[]): Line<N>[] {
  const ids = new Set(nodes.map(({ id }) => id))
  const isTop = ({ parent }: N) => parent === null || !ids.has(parent)
  return nodes.filter(isTop).flatMap(node => [{ node, indent: '' }, ...linesBelow(nodes, node, '')])
}

function linesBelow<N extends Node>(nodes: readonly N[], { id }: N, before: string): Line<N>[] {
  const children = nodes.filter(({ parent }) => parent === id)
  return children.flatMap((node, index) => {
    const isLast = index === children.length - 1
    const rest = linesBelow(nodes, node, `${before}${isLast ? '   ' : '│  '}`)
    return [{ node, indent: `${before}${isLast ? '└─ ' : '├─ '}` }, ...rest]
  })
}
