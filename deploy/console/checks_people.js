// Checks of the pages of people and of films.
const fs = require('fs')
const path = require('path')
const { waitMillis } = require('./world.js')

module.exports = (check, w, { must, same }) => {
  const rows = page => page.locator('[role=grid] .rows [role=row]')
  const texts = page => rows(page).evaluateAll(all => all.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(r => r.innerText))
  const first = page => page.locator('[data-row="0"]').waitFor({ timeout: waitMillis })
  const film = async () => (await w.get('/api/v1/movies?limit=1')).items[0]
  const name = text => `${text}-${Date.now().toString(36)}`
  const feedback = (user, movie, more) => w.send('POST', '/api/v1/feedback', { user_id: user, movie_id: movie, interaction_type: 'like', ...more })

  check('12 13 people and films: the pages come by themselves as they are scrolled to, and those in sight are drawn', async () => {
    const said = []
    for (const [at, api, key] of [['/ui/people', '/api/v1/users', 'user_id'], ['/ui/films', '/api/v1/movies', 'movie_id']]) {
      const all = []
      for (let cursor = ''; ;) {
        const p = await w.get(`${api}?limit=50&cursor=${cursor}`)
        all.push(...p.items)
        if (!(cursor = p.next_cursor)) break
      }
      const start = Date.now()
      const page = await w.open(at)
      await first(page)
      const took = Date.now() - start
      const grid = page.locator('[role=grid]')
      must((await rows(page).count()) < 80, `${await rows(page).count()} rows are drawn`)
      await w.until('the end does not come', async () => {
        await grid.evaluate(e => { e.scrollTop = e.scrollHeight })
        await w.settled(page)
        return (await grid.getAttribute('aria-rowcount')) !== '-1'
      }, 0)
      same(await grid.getAttribute('aria-rowcount'), String(all.length + 1), `rows of ${at}`)
      await grid.evaluate(e => { e.scrollTop = e.scrollHeight })
      await w.pause(page, 150)
      const n = await rows(page).count()
      must(n > 5 && n < 80, `${n} rows are drawn`)
      const last = all.at(-1)
      must((await texts(page)).at(-1).includes(last.title ?? last[key]), `the last row is not ${JSON.stringify(last)}`)
      said.push(`${all.length} at ${at}, the first rows after ${took} ms`)
      await w.closeAll()
    }
    return said.join('; ')
  })

  check('7 8 by keys alone: a person is found and opened, an act too, and back', async () => {
    const page = await w.open('/ui/', { expected: ['/audit/chain'] }) // of a fact nothing need be known to have come
    await w.settled(page)
    await w.chord(page, 'g', 'p')
    await first(page)
    await page.keyboard.press('/')
    await page.keyboard.type('11')
    await page.waitForURL(/q=11/, { timeout: waitMillis })
    await page.waitForFunction(() => document.querySelector('[data-row="0"]')?.innerText.startsWith('11'), null, { timeout: waitMillis })
    await page.evaluate(() => document.activeElement.blur())
    await page.keyboard.press('j')
    await page.waitForFunction(() => document.activeElement?.hasAttribute('data-row'), null, { timeout: waitMillis })
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/ui\/people\/11/, { timeout: waitMillis })
    await first(page)
    await page.waitForFunction(() => document.activeElement !== document.body, null, { timeout: waitMillis })
    await page.keyboard.press('j')
    await page.waitForFunction(() => document.activeElement?.hasAttribute('data-row'), null, { timeout: waitMillis })
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/ui\/events\/user-events\/\d@\d+/, { timeout: waitMillis })
    await page.goBack()
    await first(page)
    await page.keyboard.press('Escape')
    await page.waitForURL(/\/ui\/people$/, { timeout: waitMillis })
    await w.chord(page, 'g', 'l')
    await page.waitForURL(/\/ui\/films/, { timeout: waitMillis })
  })

  check('17 34 an act that is recorded on a page is one event, however often it is clicked, and is told of on both', async () => {
    const who = name('clicker')
    const { movie_id, title } = await film()
    await feedback(who, movie_id, {})
    const person = await w.open(`/ui/people/${who}`)
    await first(person)
    const other = await w.open(`/ui/films/${movie_id}`)
    await first(other)
    await person.getByLabel('Film', { exact: true }).fill(movie_id)
    await person.getByLabel('Stars').fill('3.5')
    await person.getByRole('button', { name: 'Record an act' }).dblclick()
    await person.locator('.announce').filter({ hasText: 'user-events/' }).waitFor({ timeout: waitMillis })
    await w.pause(person, 500)
    same((await w.get(`/api/v1/users/${who}/history`)).items.map(i => [i.interaction_type, i.rating ?? 0]), [['rating', 3.5], ['like', 0]], 'acts')
    for (const page of [person, other]) {
      await page.locator('.news').waitFor({ timeout: waitMillis })
      await page.locator('.news').click()
      await page.waitForFunction(() => document.querySelector('[data-row="0"]')?.innerText.includes('3.5'), null, { timeout: waitMillis })
    }
    must((await texts(person))[0].includes(title), 'the film is not named')
    await person.getByLabel('Film', { exact: true }).fill('nope')
    w.watch(person, [])
    await person.getByRole('button', { name: 'Record an act' }).click()
    await person.locator('.rate .fault').waitFor({ timeout: waitMillis })
    w.take() // there is no such film: 404
  })

  check('20 whoever reads a list of people or a history is not moved by what comes', async () => {
    const who = name('reader')
    const { movie_id } = await film()
    for (let i = 0; i < 60; i++) await feedback(who, movie_id, { timestamp: new Date(Date.now() - 1e9 + i * 1e6).toISOString() })
    const page = await w.open(`/ui/people/${who}`)
    await first(page)
    const grid = page.locator('[role=grid]')
    await grid.evaluate(e => { e.scrollTop = 700 })
    await w.pause(page, 200)
    const before = [await grid.evaluate(e => e.scrollTop), await texts(page)]
    for (let i = 0; i < 5; i++) await feedback(who, movie_id, { interaction_type: 'view' })
    await page.locator('.news').waitFor({ timeout: waitMillis })
    same([await grid.evaluate(e => e.scrollTop), await texts(page)], before, 'what is in sight')
  })

  check('21 22 back restores the films that were found and where they were read, and a new profile shows the same', async () => {
    const at = `/ui/films?genre=Drama`
    const page = await w.open(at)
    await first(page)
    const grid = page.locator('[role=grid]')
    await grid.evaluate(e => { e.scrollTop = 280 })
    await w.pause(page, 150)
    const before = [page.url(), await texts(page), await grid.evaluate(e => e.scrollTop)]
    must(before[2] > 0, 'too few films to scroll')
    await rows(page).nth(9).locator('a').first().click()
    await page.waitForURL(/\/ui\/films\/./, { timeout: waitMillis })
    await page.locator('.facts').first().waitFor({ timeout: waitMillis })
    await page.goBack()
    await rows(page).first().waitFor({ timeout: waitMillis })
    await page.waitForFunction(top => document.querySelector('[role=grid]')?.scrollTop === top, before[2], { timeout: waitMillis })
    await w.pause(page, 200)
    same([page.url(), await texts(page), await grid.evaluate(e => e.scrollTop)], before, 'after back')
    const other = await w.open(at)
    await first(other)
    await other.locator('[role=grid]').evaluate(e => { e.scrollTop = 280 })
    await w.pause(other, 150)
    same(await texts(other), before[1], 'in a new profile')
  })

  check('23 24 26 27 a late act is there as of then, not as known then, on a person’s page and on a film’s', async () => {
    const who = name('late')
    const { movie_id, title } = await film()
    const before = await w.cut()
    const a = await feedback(who, movie_id, { interaction_type: 'rating', rating: 2, timestamp: '2015-03-01T10:00:00Z' })
    await feedback(who, movie_id, { interaction_type: 'view' })
    const page = await w.open(`/ui/people/${who}`)
    await first(page)
    same(await rows(page).count(), 2, 'acts now')
    must((await page.locator('.facts').first().innerText()).includes(a.position), 'the first act does not lead to its event')
    for (const [query, want] of [['as_of=2015-06-01', 1], [`known_at=${encodeURIComponent(a.position)}`, 1], [`as_of=2015-02-28`, 0], [`known_at=${encodeURIComponent(before)}`, 0], [`as_of=2015-06-01&known_at=${encodeURIComponent(before)}`, 0]]) {
      same((await w.get(`/api/v1/users/${who}/history?${query}`)).items.length, want, `the API, ${query}`)
      await page.goto(`${w.base}/ui/people/${who}?${query}`)
      await page.locator('main h1').waitFor({ timeout: waitMillis })
      await (want ? page.locator('[data-row="0"]') : page.locator('.empty').first()).waitFor({ timeout: waitMillis })
      await w.settled(page)
      same(await rows(page).count(), want, `the page, ${query}`)
      must(await page.getByRole('button', { name: 'Record an act' }).isDisabled(), `the past can be changed, ${query}`)
      same(await page.locator('.plot rect').count(), want, `cells, ${query}`)
    }
    await page.goto(`${w.base}/ui/films/${movie_id}?as_of=2015-03-01T10:00:00Z&from=2015-03-01T10:00:00Z`)
    await first(page)
    must((await texts(page))[0].includes(who), 'the film’s page lacks the act')
    await page.goto(`${w.base}/ui/films/${movie_id}?known_at=${encodeURIComponent(a.position)}`)
    await first(page)
    const then = await page.locator('main').innerText()
    for (let i = 0; i < 10; i++) await feedback(`${who}${i}`, movie_id, {})
    await page.reload()
    await first(page)
    await w.settled(page)
    same(await page.locator('main').innerText(), then, 'what is shown of then, after more came')
    await page.goto(`${w.base}/ui/films/${movie_id}?known_at=mlops-events/0@0`)
    await page.locator('.fault').waitFor({ timeout: waitMillis })
    must(!(await page.locator('main').innerText()).includes(title), 'now is shown for then')
    w.take() // that it was not there is a 404
  })

  check('23 a click into the plot shows the acts of that time alone', async () => {
    const who = name('plot')
    const { movie_id } = await film()
    for (const year of [2014, 2016, 2018]) await feedback(who, movie_id, { timestamp: `${year}-03-01T10:00:00Z` })
    const page = await w.open(`/ui/people/${who}`)
    await first(page)
    same(await rows(page).count(), 3, 'acts')
    await page.locator('.plot rect').nth(1).click()
    await page.waitForURL(/from=.*to=/, { timeout: waitMillis })
    await page.waitForFunction(() => document.querySelectorAll('[role=grid] .rows [role=row]').length === 1, null, { timeout: waitMillis })
    must((await texts(page))[0].includes('2016-03-01'), 'it is another')
  })

  check('25 a diff of two moments has what changed of a film, and the event between; of a person too', async () => {
    const { movie_id } = await film()
    const before = (await w.get('/api/v1/log/moment')).cut
    await w.send('PUT', `/api/v1/movies/${movie_id}/hidden`, { reason: 'a check' })
    await w.send('DELETE', `/api/v1/movies/${movie_id}/hidden`, {})
    const page = await w.open(`/ui/films/${movie_id}?vs_known_at=${encodeURIComponent(before)}`)
    await page.locator('[data-diff] table.diff').waitFor({ timeout: waitMillis })
    await w.settled(page)
    const fields = await page.locator('[data-diff] table.diff tbody th').allInnerTexts()
    must(fields.includes('revision') && !fields.includes('title'), `changed are ${JSON.stringify(fields)}`)
    same(await page.locator('[data-diff] .entries .type').allInnerTexts(), ['movie.unhidden', 'movie.hidden'], 'events between')
    const who = name('diff')
    await feedback(who, movie_id, {})
    const one = (await w.get('/api/v1/log/moment')).cut
    await feedback(who, movie_id, { interaction_type: 'view' })
    await w.send('POST', '/api/v1/users', { user_id: who, age: 41 })
    await page.goto(`${w.base}/ui/people/${who}?vs_known_at=${encodeURIComponent(one)}`)
    await page.locator('[data-diff] table.diff').waitFor({ timeout: waitMillis })
    await w.settled(page)
    const of = await page.locator('[data-diff] table.diff tbody th').allInnerTexts()
    must(of.includes(`${who}.acts`) && of.includes(`${who}.age`), `changed are ${JSON.stringify(of)}`)
    same(await page.locator('[data-diff] .entries .type').allInnerTexts(), ['user.described'], 'events between')
    same(await rows(page).count(), 1, 'acts between')
    must((await texts(page))[0].includes('view'), 'it is another act')
  })

  check('33 34 a film is hidden once, on the state that was read, and is let on lists again', async () => {
    const { movie_id } = await film()
    const page = await w.open(`/ui/films/${movie_id}`, { expected: ['412'] })
    await w.settled(page)
    const events = async () => (await w.get(`/api/v1/log/streams/movie/${movie_id}?limit=1000`)).items.filter(e => /hidden/.test(e.type)).length
    const before = await events()
    await page.getByRole('button', { name: 'Hide from lists' }).click()
    await page.locator('dialog[open] input').fill('licence')
    await w.send('PUT', `/api/v1/movies/${movie_id}/hidden`, { reason: 'somebody else' })
    await page.locator('dialog[open] button[type=submit]').click()
    await page.locator('dialog[open] .fault').waitFor({ timeout: waitMillis })
    await page.locator('dialog[open]').getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('It is on no list: somebody else').waitFor({ timeout: waitMillis })
    await page.getByRole('button', { name: 'Show on lists again' }).click()
    await page.locator('dialog[open] button[type=submit]').dblclick()
    await page.getByRole('button', { name: 'Hide from lists' }).waitFor({ timeout: waitMillis })
    same(await events(), before + 2, 'events')
  })

  check('25 what a person was shown is there, and leads to its event; similar films are those of then', async () => {
    const user = (await w.get('/api/v1/users?limit=1')).items[0].user_id
    const given = await w.get(`/api/v1/recommendations?user_id=${user}&k=5`)
    const page = await w.open(`/ui/people/${user}?tab=shown`, { expected: ['/audit/chain'] })
    await page.locator('.stream summary').first().click()
    await page.locator('.stream details[open] table').waitFor({ timeout: waitMillis })
    same(await page.locator('.stream details[open] th[scope=row] a').allInnerTexts(), given.items.map(i => i.title), 'films')
    await page.locator('.stream details[open] p a').first().click()
    await page.waitForURL(/\/ui\/events\/movie-recommendations(\/|%2F)\d@\d+/, { timeout: waitMillis })
    const { movie_id } = await film()
    for (const known of ['', `known_at=${encodeURIComponent(w.position)}`]) {
      const want = await w.get(`/api/v1/movies/${movie_id}/similar?k=20&${known}`)
      await page.goto(`${w.base}/ui/films/${movie_id}?tab=similar&${known}`)
      await page.locator('main tbody tr').first().waitFor({ timeout: waitMillis })
      same(await page.locator('[aria-label=Similar] tbody tr td:nth-child(2) a').allInnerTexts(), want.items.map(i => i.title), `similar films ${known}`)
    }
  })

  check('28 hostile names of people and films do nothing, and the layout is whole', async () => {
    const dir = path.join(process.env.WORK, 'hostile')
    fs.mkdirSync(dir, { recursive: true })
    const titles = [w.hostile.img, w.hostile.js, w.hostile.script, `${w.hostile.rtl} (2001)`, w.hostile.long.slice(0, 1024)]
    const quoted = s => `"${s.replaceAll('"', '""')}"`
    fs.writeFileSync(path.join(dir, 'movies.csv'), `movieId,title,genres\n${titles.map((t, i) => `${990001 + i},${quoted(t)},${quoted(i === 0 ? `${w.hostile.img}|${w.hostile.rtl}` : 'Drama')}`).join('\n')}\n`)
    fs.writeFileSync(path.join(dir, 'ratings.csv'), `userId,movieId,rating,timestamp\n${titles.map((_, i) => `1,${990001 + i},4.0,1400000000`).join('\n')}\n`)
    const done = await fetch(`${w.base}/api/v1/imports`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ path: dir, merge: true }) }).then(r => r.text())
    const film = (await w.get(`/api/v1/movies?q=${encodeURIComponent('img src x onerror')}`)).items.find(m => m.title.includes('<img'))
    must(film, `no film has a hostile title: ${done.slice(-400)}`)
    await w.send('PUT', `/api/v1/movies/${film.movie_id}/hidden`, { reason: w.hostile.script })
    const people = [w.hostile.img, 'a/b?c#d%2e', w.hostile.rtl, 'long'.repeat(32)]
    for (const id of people) await feedback(id, film.movie_id, {})
    await w.send('POST', '/api/v1/users', { user_id: people[3], occupation: w.hostile.img, zip: w.hostile.js })
    const at = [`/ui/people`, `/ui/people?q=${encodeURIComponent(w.hostile.img)}`, ...people.map(p => `/ui/people/${encodeURIComponent(p)}`), `/ui/people/${people[3]}?tab=said`, '/ui/films', '/ui/films?hidden=true', `/ui/films?q=${encodeURIComponent(w.hostile.img)}`,
      ...titles.map((_, i) => `/ui/films/${Number(film.movie_id) + i}`), `/ui/films/${film.movie_id}?tab=similar`, `/ui/people/${encodeURIComponent(w.hostile.js)}`]
    for (const where of at) {
      for (const width of [1280, 390]) {
        const page = await w.open(where, { width, height: 800, bare: true })
        await page.locator('main h1').first().waitFor({ timeout: waitMillis })
        await w.settled(page)
        same(await page.evaluate(() => [window.__hit, document.querySelectorAll('main img, main script').length, [...document.querySelectorAll('a[href]')].filter(a => a.protocol === 'javascript:').length]), [null, 0, 0], where)
        const over = await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, (m => m.scrollWidth - m.clientWidth)(document.getElementById('main'))))
        must(over <= 0, `${where} scrolls sideways at ${width}: ${over} px`)
        same(await w.violations(page), [], where)
        await w.closeAll()
      }
    }
    // What a title does to the direction of text ends with it: the year stands behind.
    const turned = await w.open(`/ui/films/${Number(film.movie_id) + 3}`)
    await w.settled(turned)
    const [ends, begins, year] = await turned.locator('main h1').evaluate(h => [h.querySelector('bdi').getBoundingClientRect().right, h.querySelector('span').getBoundingClientRect().left, h.querySelector('span').innerText])
    must(year === '2001' && begins >= ends, `the title ends at ${ends}, and ${year} begins at ${begins}`)
    const page = await w.open('/ui/people?q=a/b')
    await first(page)
    await rows(page).first().locator('a').first().click()
    await page.waitForURL(/\/ui\/people\/a%2F/, { timeout: waitMillis })
    await first(page)
    same(await page.locator('main h1').innerText(), people[1], 'the title')
  })

  check('35 no people and no films say so; an error and no network have their states', async () => {
    const page = await w.open('/ui/people', { expected: ['503', 'ERR_'] })
    await first(page)
    await page.route('**/api/v1/users?*', r => r.fulfill({ status: 503, contentType: 'application/problem+json', headers: { 'X-Request-ID': 'abc' }, body: JSON.stringify({ title: 'Not now', detail: 'the view rebuilds', hint: 'wait', status: 503 }) }))
    await page.locator('[data-filter]').fill('1')
    await page.locator('.fault').filter({ hasText: 'the view rebuilds' }).filter({ hasText: 'abc' }).waitFor({ timeout: waitMillis })
    await page.unroute('**/api/v1/users?*')
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.locator('.fault').waitFor({ state: 'detached', timeout: waitMillis })
    await first(page)
    await page.locator('[data-filter]').fill('nobody-has-this')
    await page.getByText('Nothing fits').waitFor({ timeout: waitMillis })
    await page.context().setOffline(true)
    await page.getByRole('link', { name: 'Films', exact: true }).first().click()
    await page.getByText('The server cannot be reached').first().waitFor({ timeout: waitMillis })
    await page.context().setOffline(false)
    w.take()
    const locked = await w.open('/ui/', { base: w.locked, bare: true, expected: ['401', '503', '/readyz'] })
    await locked.locator('input[name=secret]').fill('sesame')
    await locked.getByRole('button', { name: 'Begin' }).click()
    await locked.getByRole('heading', { name: 'Overview' }).waitFor({ timeout: waitMillis })
    for (const [where, text] of [['people', 'Nobody has acted yet'], ['films', 'There are no films yet'], ['people/1', 'Nothing is known of this person']]) {
      await locked.goto(`${w.locked}/ui/${where}`)
      await locked.getByText(text).first().waitFor({ timeout: waitMillis })
    }
    await w.settled(locked)
    w.take() // 401 and 503 are what an empty server that wants a token says
  })
}
