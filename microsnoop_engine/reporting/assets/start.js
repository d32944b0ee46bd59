byId("summary").textContent = data.summary;
byId("commands").hidden = !data.commands.length;
data.commands.forEach((line, number) => {
  if (number) byId("commands").append("\n");
  line.split(" ").forEach((word, n) => byId("commands").append(n ? " " : "", element("span", word)));
});
byId("versions").textContent = data.versions;
drawScores();
drawMaps();
drawPlates();
drawDoses();
drawReplicates();
drawActivity();
drawCurves();
drawNearest();
drawMontage();
drawClasses();
drawClusters();
drawQuality();
drawCorrections();
drawExplained();
drawSphering();
drawSearch();
addCsvLinks();
for (const section of document.querySelectorAll("main > section:not([hidden])")) {
  const link = element("a", section.querySelector("h2").textContent);
  link.href = `#${section.id}`;
  byId("contents").append(link);
}
document.body.dataset.ready = "yes";
