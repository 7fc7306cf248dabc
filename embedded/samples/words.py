"""Every sentence of the sample media. All were written for this project; no sentence quotes anyone.

Speech sentences have no commas, so that a speech synthesiser makes no pause inside them.
"""

from dataclasses import dataclass

__all__ = ["ARTICLES", "CAPTIONS", "NOTES", "SPOKEN", "Article"]


@dataclass(frozen=True, slots=True)
class Article:
    """A short text, the same said in other words, and a text about something else. All English."""

    original: str
    rewritten: str
    unrelated: str


SPOKEN: dict[str, tuple[str, ...]] = {
    "en": (
        "Good morning and welcome to the harbour report for the northern islands.",
        "The early ferry leaves twenty minutes late because of the fog.",
        "Fishing boats bring fresh mackerel to the market before nine.",
        "A new bakery opened next to the old lighthouse last week.",
        "The swimming lessons for children begin again on Thursday.",
        "Please bring a warm coat because the wind turns north tonight.",
        "Our volunteers painted the benches along the whole promenade.",
        "Thank you for listening and have a pleasant day at sea.",
    ),
    "de": (
        "Guten Abend und herzlich willkommen zu unserer Sendung aus dem Garten.",
        "Die ersten Tomaten sind in diesem Jahr besonders früh reif geworden.",
        "Nach dem langen Regen brauchen die Kräuter heute kein Wasser.",
        "Im Gewächshaus wachsen Gurken und Paprika dicht nebeneinander.",
        "Am Wochenende tauschen die Nachbarn ihre Samen und Setzlinge.",
        "Ein alter Apfelbaum trägt wieder so viele Früchte wie früher.",
        "Wer noch Kompost sucht findet ihn hinter dem kleinen Schuppen.",
        "Vielen Dank fürs Zuhören und bis zum nächsten Sonntag.",
    ),
}

ARTICLES: tuple[Article, ...] = (
    Article(
        original="The city will close the old stone bridge for six months. Workers must repair cracks in its arches, "
        "and until autumn all cars have to take the long way around through the valley.",
        rewritten="For half a year nobody can drive across the historic bridge in town. Its damaged arches are being "
        "fixed, so motorists need to make a detour through the valley until the autumn.",
        unrelated="Whisk the eggs with sugar until they are pale, fold in the melted chocolate, and bake the cake for "
        "twenty five minutes in a hot oven. Let it cool before you cut it.",
    ),
    Article(
        original="Scientists counted more puffins on the cliffs this spring than in any of the last ten years. They "
        "believe that the birds profit from the ban on fishing for sand eels nearby.",
        rewritten="The puffin colony is larger this year than it has been for a decade, researchers report. The likely "
        "reason is that boats may no longer catch the sand eels that these birds eat.",
        unrelated="The laptop does not start when the battery is empty. Hold the power button for ten seconds, connect "
        "the charger, and install the latest firmware before you contact support.",
    ),
    Article(
        original="Our library now lends out tools as well as books. Members may take home a drill or a sewing machine "
        "for one week, free of charge, and bring it back to any branch.",
        rewritten="Besides novels you can borrow drills and sewing machines from the public library. Everyone with a "
        "card keeps such a tool for seven days at no cost and returns it at whichever branch they like.",
        unrelated="The goalkeeper saved a penalty in the final minute, and the home team won the match by a single "
        "goal. Thousands of supporters celebrated in the stadium until midnight.",
    ),
)

NOTES: dict[str, tuple[str, ...]] = {
    "de": (
        (
            "Heute sind wir mit dem Zug in die Berge gefahren. Oben lag noch Schnee, aber in der Hütte gab es heiße Suppe "
            "und frisches Brot, und am Nachmittag kam sogar die Sonne heraus."
        ),
        (
            "Der Wochenmarkt zieht für zwei Monate auf den Platz vor dem Rathaus um. Die Händler freuen sich über mehr Platz, "
            "doch manche Kundin vermisst schon jetzt den Schatten der alten Linden."
        ),
        (
            "Meine Großmutter hat mir gezeigt, wie man einen Korb aus Weidenzweigen flicht. Zuerst müssen die Zweige eine Nacht "
            "lang im Wasser liegen, damit sie nicht brechen."
        ),
    ),
    "fr": (
        (
            "Ce matin, nous avons pris le petit train qui longe la côte. La mer était calme, les mouettes suivaient les "
            "bateaux, et nous avons déjeuné sur la plage avec du pain et du fromage."
        ),
        (
            "La bibliothèque du quartier reste ouverte le dimanche pendant tout l'hiver. Les enfants peuvent y écouter des "
            "contes pendant que leurs parents lisent le journal au chaud."
        ),
        (
            "Mon voisin répare de vieux vélos dans sa cour. Quand ils roulent de nouveau, il les donne aux étudiants qui "
            "arrivent en ville sans moyen de transport."
        ),
    ),
    "es": (
        (
            "Ayer llegamos al pueblo cuando ya se ponía el sol. La dueña de la posada nos esperaba con una sopa caliente y nos "
            "contó cómo se celebra aquí la fiesta de la cosecha."
        ),
        (
            "El ayuntamiento ha plantado cien árboles junto al río. Los vecinos los riegan por turnos durante el verano, porque "
            "las raíces todavía son cortas y la tierra se seca enseguida."
        ),
        (
            "Mi hermana aprende a tocar el acordeón desde hace un año. Todas las tardes ensaya la misma melodía, y hasta el "
            "perro de la casa parece conocerla de memoria."
        ),
    ),
    "ja": (
        "今日は朝早く起きて、湖のまわりを自転車で走りました。風は冷たかったですが、山がとてもきれいに見えました。",
        "駅前の小さな喫茶店が新しくなりました。窓が大きくなり、午後になると明るい光が店の奥まで入ってきます。",
        "祖父の畑では、今年もたくさんのかぼちゃがとれました。重いので、家まで運ぶのに何度も往復しました。",
    ),
}

CAPTIONS: tuple[str, ...] = (
    "Our cat has been watching the same window for an hour. We think that a pigeon lives on the other side.",
    "She pretends not to hear us, but her ears turn whenever someone opens the fridge.",
    "Caught in the only quiet minute of the day. She is usually chasing a ball across the kitchen.",
)
