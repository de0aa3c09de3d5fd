// What is folded opens for paper, and where a link leads into it.
addEventListener('beforeprint', () => document.querySelectorAll('details').forEach(d => d.open = true));
function show() {
	const to = document.getElementById(decodeURIComponent(location.hash.slice(1)));
	const folded = to && to.closest('details');
	if (folded && !folded.open) {
		folded.open = true;
		to.scrollIntoView();
	}
}
addEventListener('hashchange', show);
addEventListener('DOMContentLoaded', show);
