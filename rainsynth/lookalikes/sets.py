"""The look-alikes of the field's benchmark sets, with every number they draw and where it comes from.

Look-alike: statistics taken from the set's pairs (Rain100L, Rain100H), numbers of its maker's generator (Outdoor-Rain),
or formulas of its paper (RainCityscapes). "Measured" is by `rainsynth.measure` on 40 pairs of each set, as the median
(and 10 to 90 % of the pictures) unless it says otherwise; the ranges beside it were adjusted until the look-alike
measures the same. Streaks overlap, so what is drawn is not what is measured.
"""

from __future__ import annotations

from rainsynth.lookalikes.ranges import Drawn, Kind, LookAlike

FITTED = "fitted: autocorrelation and levels measured on 40 pairs"


def fixed(value: float, source: str = FITTED) -> Drawn:
    """One number for every picture."""
    return Drawn(low=value, high=value, source=source)


def uniform(low: float, high: float, source: str = FITTED) -> Drawn:
    """Uniform between two limits."""
    return Drawn(low=low, high=high, source=source)


def logarithmic(low: float, high: float, source: str = FITTED) -> Drawn:
    """Uniform in the logarithm between two limits."""
    return Drawn(low=low, high=high, source=source, scale="logarithmic")


def whole(low: int, high: int, source: str = FITTED) -> Drawn:
    """Whole numbers, both limits among them."""
    return Drawn(low=low, high=high, source=source, scale="whole")


SOFT_LINES = {
    "direction_deg": uniform(-26, 26, "measured: -29 to 29, one direction in every picture"),
    "streak_scatter_deg": uniform(0.3, 1.2, "measured direction spread 3.3 (2.4 to 4.7) degrees"),
    "length_log_sd": fixed(0.38),
    "width_log_sd": fixed(0.45),
    "edge_px": uniform(1.1, 1.8, "measured edge sharpness 0.60 (0.56 to 0.69)"),
    "taper_fraction": fixed(0.45),
    "bead_fraction": fixed(0.67, "measured autocorrelation along streaks: 0.68 at 4 px, then slowly down over 70 px"),
    "bead_px": fixed(7.0, "the same"),
    "size_correlation": fixed(0.7, "seen: short streaks are thin"),
}

RAIN100L = LookAlike(
    title="look-alike of Rain100L: sparse soft streaks in one direction, added",
    blend="additive",
    recipe="lines",
    kinds=(
        Kind(
            title="sparse",
            share_fraction=0.175,  # measured: 7 of 40 pairs, mean PSNR-Y 33.2 dB
            ranges=SOFT_LINES
            | {
                "layer_coverage_fraction": uniform(0.118, 0.147, "measured mean .118/.058/.011 above 3/10/30 codes"),
                "length_px": logarithmic(37, 88, "measured mean 50 px"),
                "width_px": logarithmic(0.88, 1.27, "measured mean 2.15 px, edges included"),
                "edge_px": uniform(0.9, 2.3, "measured mean edge sharpness 0.66"),
                "level_codes": logarithmic(26.5, 32.5, "measured mean levels 19 and 49 codes at 50 and 95 %"),
                "level_log_sd": fixed(1.43, "the same"),
                "highest_level_codes": logarithmic(108, 138, "measured: 94 to 147 in all"),
            },
        ),
        Kind(
            title="soft",
            share_fraction=0.5,  # measured: 20 of 40 pairs, mean PSNR-Y 27.0 dB
            ranges=SOFT_LINES
            | {
                "layer_coverage_fraction": uniform(0.245, 0.39, "measured mean .27/.17/.055 above 3/10/30 codes"),
                "length_px": logarithmic(52, 91, "measured mean 62 px"),
                "width_px": logarithmic(1.22, 1.95, "measured mean 2.7 px, edges included"),
                "level_codes": logarithmic(22, 38, "measured mean levels 23 and 64 codes at 50 and 95 %"),
                "level_log_sd": fixed(1.34, "the same"),
                "highest_level_codes": logarithmic(147, 194, "measured: 125 to 191 in all"),
            },
        ),
        Kind(
            title="bright",
            share_fraction=0.325,  # measured: 13 of 40 pairs, mean PSNR-Y 22.5 dB
            ranges=SOFT_LINES
            | {
                "streak_scatter_deg": uniform(0.5, 1.2, "measured mean direction spread 4.1 degrees"),
                "layer_coverage_fraction": uniform(0.175, 0.227, "measured mean .23/.16/.084 above 3/10/30 codes"),
                "length_px": logarithmic(9.5, 36, "measured mean 35 px"),
                "length_log_sd": fixed(0.65),
                "width_px": logarithmic(1.1, 1.65, "measured mean 2.5 px, edges included"),
                "edge_px": uniform(1.3, 1.8, "measured mean edge sharpness 0.59"),
                "level_codes": logarithmic(19, 31, "measured mean levels 33 and 116 codes at 50 and 95 %"),
                "level_log_sd": fixed(1.8, "the same"),
                "highest_level_codes": logarithmic(105, 180, "measured: 171 to 204 in all, where streaks overlap"),
                "taper_fraction": fixed(0.31),
                "bead_fraction": fixed(0.0),
            },
        ),
    ),
)

HARD_LINES = {
    "layer_count": whole(2, 4, "measured: levels are sums of 1 to 4 flat layers"),
    "layer_scatter_deg": uniform(0.5, 4, "measured direction spread 3.3 (2.3 to 7.9) degrees"),
    "layer_level_log_sd": fixed(0.2),
    "streak_scatter_deg": fixed(0.4),
    "layer_coverage_fraction": uniform(0.34, 0.52, "measured .91/.83/.65 above 3/10/30 codes"),
    "length_px": logarithmic(70, 125, "measured 65 px (42 to 88)"),
    "length_log_sd": fixed(0.4),
    "width_px": logarithmic(1.6, 2.45, "measured 2.4 px (2.0 to 2.9)"),
    "width_log_sd": fixed(0.3),
    "level_codes": logarithmic(35, 66, "measured levels 15/58/124 codes at 5/50/95 %"),
    "level_log_sd": fixed(0.5),
    "highest_level_codes": fixed(82, "measured: the picture of one layer ends at 85 codes, a third of white"),
    "edge_px": uniform(0.9, 1.6, "measured edge sharpness 0.60 (0.56 to 0.65)"),
    "taper_fraction": fixed(0.05),
    "inside_top_fraction": uniform(0, 0.6, "measured: mean level of rows 0.8 of the picture's at its upper edge"),
    "inside_bottom_fraction": uniform(0, 1, "measured: 0.6 at its lower edge, from 70 px above it"),
    "faint_coverage_fraction": uniform(0.4, 0.7, "measured: a tenth of the pixels between 3 and 10 codes"),
    "faint_direction_deg": uniform(-25, 25, "seen: faint soft streaks cross the hard ones"),
    "faint_level_codes": fixed(13),
}

RAIN100H = LookAlike(
    title="look-alike of Rain100H: dense hard streaks in one to four directions, added",
    blend="additive",
    recipe="lines",
    side_margin_px=0,  # its layers dim towards the upper and lower edge
    kinds=(
        Kind(
            title="one layer",
            share_fraction=0.04,  # measured: 1 of 40 pairs has a single level
            ranges=HARD_LINES
            | {
                "layer_count": whole(1, 1, "measured: half of the picture without rain"),
                "direction_deg": uniform(-15, 15, "measured main direction -12 to 12 degrees"),
            },
        ),
        Kind(
            title="one direction",
            share_fraction=0.63,  # measured: 26 of 40 pairs have one ridge
            ranges=HARD_LINES | {"direction_deg": uniform(-15, 15, "measured main direction -12 to 12 degrees")},
        ),
        Kind(
            title="crossing",
            share_fraction=0.28,  # measured: 11 of 40 pairs have ridges on both sides of the vertical
            ranges=HARD_LINES
            | {
                "direction_deg": uniform(4, 17, "measured: 4 to 17 degrees to one side"),
                "crossing_deg": uniform(-17, -4, "measured: 1 to 17 degrees to the other"),
            },
        ),
        Kind(
            title="soft",
            share_fraction=0.05,  # measured: 2 of 40 pairs have streaks like Rain100L's, in several directions
            ranges=SOFT_LINES
            | {
                "layer_count": whole(3, 3, "seen in both pairs"),
                "direction_deg": uniform(-30, 30, "measured: -12 and 28 degrees"),
                "crossing_deg": uniform(-30, 30, "seen: -17 to 29 degrees in one picture"),
                "layer_coverage_fraction": uniform(0.27, 0.38, "measured .77/.54/.23 and .72/.49/.18"),
                "length_px": logarithmic(35, 65, "measured 29 and 46 px"),
                "width_px": logarithmic(1.3, 1.9, "measured 2.4 and 3.1 px"),
                "level_codes": logarithmic(24, 30, "measured levels of 66 and 73 codes at 95 %"),
                "level_log_sd": fixed(1.3, "the same"),
                "highest_level_codes": fixed(180, "measured: 156 and 184 in all"),
            },
        ),
    ),
)

GENERATOR = "generator: liruoteng/HeavyRainRemoval, datagen/"

OUTDOOR_RAIN = LookAlike(
    title="look-alike of Outdoor-Rain: fine dense streaks behind a thick grey veil",
    blend="heavy-rain",
    recipe="blurred noise",
    side_margin_px=8,  # streaks dim within 6 px of an edge; the veil asks for the nearest and the farthest row
    kinds=(
        Kind(
            title="heavy rain",
            share_fraction=1.0,
            ranges={
                "direction_deg": uniform(-10, 10, f"{GENERATOR}generate_dataset.m: 80, 85 .. 100 from horizontal"),
                "length_px": whole(21, 60, f"{GENERATOR}render_rain.m: randi(40) + 20"),
                "noise_mean": uniform(-1.0, -0.8, f"{GENERATOR}render_rain.m: -4 (0.2 + 0.05 rand)"),
                "noise_variance": uniform(0.7, 1.0, f"{GENERATOR}render_rain.m: 0.7 + 0.3 rand"),
                "noise_scale": uniform(1.01, 1.21, f"{GENERATOR}render_rain.m: 1.01 + 0.2 rand"),
                "extra_strength": uniform(0.0, 0.05, f"{GENERATOR}render_rain.m: 0.05 rand"),
                "veil_strength": uniform(2.6, 4.6, f"{GENERATOR}render_haze.m: 3 to 4.2 train, 2.6 to 4.6 validation"),
                "airlight_fraction": uniform(0.25, 0.95, f"{GENERATOR}render_haze.m: .3 to .9 train, .25 to .95"),
            },
        ),
    ),
)

FOCAL_PX = 2262.5  # of Cityscapes' cameras, at 2048 x 1024 px (its calibration files)
PATTERN = "choice: the set's 12 patterns are not published apart from its pictures"
FILE_NAMES = "names of the set's pictures: alpha_A_beta_B_dropsize_R (xw-hu/DAF-Net, data/RainCityscapes)"


def rain_of_cityscapes(title: str, fading_per_m: float, fog_per_m: float, drop_radius_m: float) -> Kind:
    """One of the three settings of RainCityscapes: alpha and beta [1/m], and a drop's radius, taken to be in metres.

    Streaks are at their full strength up to d1 = 2 f a, where a drop is one pixel wide (Garg & Nayar 2007); that
    the set means this d1, and metres, is from memory of the paper.
    """
    return Kind(
        title=title,
        share_fraction=1 / 3,
        ranges={
            "fading_per_m": fixed(fading_per_m, FILE_NAMES),
            "fog_per_m": fixed(fog_per_m, FILE_NAMES),
            "full_depth_m": fixed(2 * FOCAL_PX * drop_radius_m, "d1 = 2 f a (memory)"),
            "airlight_fraction": uniform(0.7, 0.95, "choice: the paper's A0 was not found"),
            "direction_deg": uniform(-20, 20, PATTERN),
            "streak_scatter_deg": fixed(1.0, PATTERN),
            "layer_coverage_fraction": uniform(0.25, 0.5, PATTERN),
            "length_px": logarithmic(30, 90, PATTERN),
            "length_log_sd": fixed(0.4, PATTERN),
            "width_px": logarithmic(1.2, 2.2, PATTERN),
            "width_log_sd": fixed(0.4, PATTERN),
            "level_codes": logarithmic(40, 80, PATTERN),
            "level_log_sd": fixed(0.6, PATTERN),
            "highest_level_codes": fixed(180, PATTERN),
            "edge_px": uniform(1.2, 1.8, PATTERN),
            "taper_fraction": fixed(0.5, PATTERN),
            "size_correlation": fixed(0.7, PATTERN),
        },
    )


RAINCITYSCAPES = LookAlike(
    title="look-alike of RainCityscapes: soft streaks that fade with depth, and fog",
    blend="raincityscapes",
    recipe="lines",
    kinds=(
        rain_of_cityscapes("large drops, light fog", fading_per_m=0.01, fog_per_m=0.005, drop_radius_m=0.01),
        rain_of_cityscapes("middle", fading_per_m=0.02, fog_per_m=0.01, drop_radius_m=0.005),
        rain_of_cityscapes("small drops, dense fog", fading_per_m=0.03, fog_per_m=0.015, drop_radius_m=0.002),
    ),
)

LOOKALIKES: dict[str, LookAlike] = {
    "rain100l": RAIN100L,
    "rain100h": RAIN100H,
    "outdoor-rain": OUTDOOR_RAIN,
    "raincityscapes": RAINCITYSCAPES,
}
