// How far Kafka's clients are.
import { useEffect } from 'preact/hooks'
import { url, useGet } from '../api'
import { count } from '../format'
import { Cut, Position, Time } from '../parts/bits'
import { Empty, Shown } from '../parts/states'
import { knownAt, place, set } from '../router'
import { t } from '../text'
import type { ConsumerGroup, Page } from '../types'

// What groups commit is no event: it is looked at again now and then, and whenever there are records.
export function Groups() {
	const cursor = place.value.params.get('cursor') ?? ''
	const got = useGet<Page<ConsumerGroup>>(url('/api/v1/log/groups', { limit: 100, cursor, known_at: knownAt.value }), { views: ['log'] })
	useEffect(() => {
		const timer = setInterval(() => { if (!document.hidden && knownAt.peek() === '') got.again() }, 3000)
		return () => clearInterval(timer)
	}, [])
	return (
		<>
			<p class="dim">{t.groupsWhat}</p>
			<Shown got={got}>{p => p.items.length === 0 ? <Empty why={t.noGroups} command="kcat -b 127.0.0.1:9092 -G my-group user-events" /> : (
				<>
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.groups}><table><thead><tr><th>{t.group}</th><th class="num">{t.lag}</th><th>{t.committed}</th><th>{t.partitions}</th></tr></thead>
						<tbody>{p.items.map(g => (
							<tr key={g.group} data-group={g.group}><td><b><Cut text={g.group} /></b></td><td class={g.lag > 0 ? 'num warn' : 'num'}>{count(g.lag)}</td><td><Time at={g.committed} /></td>
								<td><table><tbody>{g.partitions.map(q => <tr key={`${q.topic}/${q.partition}`}><td>{q.offset > 0 ? <Position at={`${q.topic}/${q.partition}@${q.offset - 1}`} /> : <span class="mono">{q.topic}/{q.partition}</span>}</td><td class="num">{count(q.offset)} / {count(q.end)}</td><td class={q.lag > 0 ? 'num warn' : 'num dim'}>−{count(q.lag)}</td></tr>)}</tbody></table></td></tr>
						))}</tbody></table></div>
					{(p.next_cursor || cursor) && <p class="buttons">{cursor && <button type="button" onClick={() => set({ cursor: '' })}>{t.begin}</button>}{p.next_cursor && <button type="button" onClick={() => set({ cursor: p.next_cursor })}>{t.more}</button>}</p>}
				</>
			)}</Shown>
		</>
	)
}
