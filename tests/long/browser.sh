#!/bin/bash
# The book in a real browser, Debian's Chromium, unpacked: on phones and screens of all
# widths nothing stands over the edge, each link leads to something that can be seen, by
# night it is dark, and all of it can be printed. K15.
. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit
docs/book >"$work/book.html" || exit 1

browser() {	# OPTION...
	timeout 900 lab/suite bookworm chromium fonts-dejavu-core -- chromium --headless=new --no-sandbox \
		--disable-gpu --hide-scrollbars --no-first-run --disable-dev-shm-usage \
		--user-data-dir="$work/profile" "$@" 2>"$work/err"
}
check "K15 there is a browser" browser --version

# In the book: what is wrong with it, told to the page around.
cat >"$work/probe" <<'END'
<script>
function wrong(told) {
	const wide = document.documentElement.clientWidth, bad = [];
	document.querySelectorAll('article').forEach(a => a.style.contentVisibility = 'visible');
	if (document.documentElement.scrollWidth > wide)
		bad.push('the page is ' + document.documentElement.scrollWidth + ' wide');
	for (const e of document.querySelectorAll('body *')) {
		// Code and pictures are scrolled by themselves.
		if (e.parentElement.closest('pre, figure'))
			continue;
		const at = e.getBoundingClientRect();
		if (at.width && at.right > wide + 1)
			bad.push('over the edge: ' + e.tagName + ' ' + e.textContent.slice(0, 40));
	}
	for (const a of document.querySelectorAll('a[href]')) {
		const to = a.getAttribute('href');
		if (to[0] != '#' || !document.getElementById(decodeURIComponent(to.slice(1))))
			bad.push('nowhere: ' + to);
	}
	told(bad);
}
addEventListener('load', () => wrong(bad => {
	const folded = document.querySelector('details b[id]'), style = getComputedStyle(document.body);
	if (folded) {
		location.hash = folded.id;
		show();
		if (!folded.closest('details').open)
			bad.push('a link into what is folded does not open it');
	}
	dispatchEvent(new Event('beforeprint'));
	if (document.querySelector('details:not([open])'))
		bad.push('what is folded is not printed');
	parent.postMessage([document.documentElement.clientWidth, style.color, style.backgroundColor,
			    bad.length].concat(bad.slice(0, 10)).join('\n'), '*');
}));
</script>
END
look() {	# WIDTH FILE [OPTION...]: its width, colours and faults
	local width=$1
	cat "$2" "$work/probe" >"$work/probed.html"
	shift 2
	echo "<pre id=out>nothing</pre><iframe width=$width height=800 src=probed.html></iframe><script>
		addEventListener('message', e => document.getElementById('out').textContent = e.data)
		</script>" >"$work/frame.html"
	browser --window-size=2000,900 --virtual-time-budget=120000 "$@" --dump-dom "file://$work/frame.html" |
		sed -n '/<pre id="out">/,/<\/pre>/{s/.*<pre id="out">//;s/<\/pre>.*//;p}'
}
for width in 320 390 768 1249 1250 1920; do
	look $width "$work/book.html" >"$work/out"
	is "K15 $width wide: nothing over the edge, each link leads somewhere" "$width 0" \
		"$(sed -n 1p "$work/out") $(sed -n '4,$p' "$work/out")"
done
day="$(sed -n 2,3p "$work/out" | tr '\n' ' ')"
look 800 "$work/book.html" --blink-settings=preferredColorScheme=0 >"$work/out"
is "K15 by day and by night" "rgb(34, 34, 34) rgb(255, 255, 255) rgb(221, 221, 221) rgb(22, 24, 27) " \
	"$day$(sed -n 2,3p "$work/out" | tr '\n' ' ')"

# Would it be seen?
sed 's,</header>,<p style="width:3000px">wide</p><a href="#nowhere_at_all">x</a>&,' "$work/book.html" >"$work/bad.html"
look 390 "$work/bad.html" >"$work/out"
is "K15 a mistake is seen" "the page is 3011 wide
over the edge: P wide
nowhere: #nowhere_at_all" "$(sed -n '5,$p' "$work/out")"

browser --no-pdf-header-footer --print-to-pdf="$work/book.pdf" "file://$work/book.html" >/dev/null
pages=$(grep -ac '/Type /Page$' "$work/book.pdf")
check "K15 it is printed: $pages pages" test "${pages:-0}" -gt 400
finish
