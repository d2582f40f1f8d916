import { Id, Position, Stream, Time } from '../parts/bits'
import { to } from '../router'
import { t } from '../text'
import type { AuditEntry } from '../types'

// EntryList is events of the ledger, a line each: what, of which stream, by whom and because of what.
export function EntryList({ items }: { items: AuditEntry[] }) {
	return (
		<ol class="entries">{items.map(e => (
			<li key={`${e.position}.${e.index}`}><Time at={e.recorded_millis} /><a class="type" href={to(['events', e.event_id])}>{e.type}</a><span class="what">{e.summary}</span><span class="dim from"><Stream name={e.stream} /> {e.actor} {e.cause ? <>← <span title={t.cause}><Position at={e.cause} /></span></> : e.causation && <>← <span title={t.cause}><Id id={e.causation} href={to(['events', e.causation])} /></span></>}</span></li>
		))}</ol>
	)
}
