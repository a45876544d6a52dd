// Says that there is something new; the page itself works without this.
const news = document.getElementById("news");
new EventSource("/api/v1/violations/stream").addEventListener("violation", () => { news.hidden = false; });
